"""Another vendor's OpenID provider in a process of its own: `python vendor.py`, which says where it is.

It is oidc-provider-mock, which knows everybody and asks for no password. Its access tokens are no JWTs, so authlib
signs them, as a server made with it does (RFC 9068): for the client that asks, which is its default.
"""

from types import SimpleNamespace

import flask
import oidc_provider_mock
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from oidc_provider_mock._storage import storage
from werkzeug.serving import make_server


class Signed(JWTBearerTokenGenerator):
    def get_jwks(self):
        return storage.jwk.as_dict(is_private=True)

    def get_extra_claims(self, client, grant_type, user, scope):
        return {"roles": user.claims.get("roles", [])}


def access_token(client, grant_type, user, scope):
    issuer = flask.request.host_url.rstrip("/")
    known = SimpleNamespace(get_user_id=lambda: user.sub, claims=user.claims)
    return Signed(issuer).access_token_generator(client, grant_type, known, scope)


if __name__ == "__main__":
    app = flask.Flask("vendor")
    app.config["OAUTH2_ACCESS_TOKEN_GENERATOR"] = access_token
    eve = oidc_provider_mock.User(sub="eve", claims={"roles": ["warehouse"]})
    oidc_provider_mock.init_app(app, user_claims=[eve])
    server = make_server("127.0.0.1", 0, app)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
