"""What a contract may say, and how it is read.

said     message event money page blob marks need limit declare: the words
read     read, with signature route place promise check: a Protocol becomes operations, all mistakes found at once
spoken   codec, with shape rewrite refuse: JSON and msgpack; schema, problem, mask, fingerprint

`operation` is the model that the rest of the platform works from.
"""
