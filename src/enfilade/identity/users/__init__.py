"""The platform's own people: `services=[Provider, Users, ...]`, and `enfilade users` to add some."""

from enfilade.identity.users.contract import Users as Users
