"""A desk for papers: an app with one operation of each kind that the shop has not."""
