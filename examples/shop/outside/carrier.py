"""The parcel service. It goes everywhere but to Antarctica (AQ). `GET /parcels` shows what was sent."""

import msgspec

from shop.outside.wire import Answer, Ask, nothing, problem

_NEAR = frozenset({"AT", "CH", "DE", "FR", "IT", "LI"})


class ParcelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    street: str
    city: str
    postcode: str
    country: str
    pieces: int


class Parcel(msgspec.Struct, frozen=True):
    reference: str
    tracking: str
    to: ParcelRequest


class Carrier:
    """Remembers parcels by their reference."""

    def __init__(self) -> None:
        self.parcels: dict[str, Parcel] = {}

    async def answer(self, ask: Ask) -> Answer:
        match ask.method, ask.path:
            case "GET", ("tariff",):
                return self._tariff(ask.query["country"], int(ask.query["pieces"]))
            case "PUT", ("parcels", reference):
                return self._take(reference, msgspec.json.decode(ask.body, type=ParcelRequest))
            case "GET", ("parcels",):
                return Answer(200, tuple(self.parcels.values()))
            case _:
                return await nothing(ask)

    def _tariff(self, country: str, pieces: int) -> Answer:
        if country == "AQ":
            return _refused(country)
        near = country in _NEAR
        cents = (590 if near else 1290) + 80 * pieces
        price = {"amount": f"{cents // 100}.{cents % 100:02}", "currency": "EUR"}
        return Answer(200, {"price": price, "days": 2 if near else 9})

    def _take(self, reference: str, request: ParcelRequest) -> Answer:
        if request.country == "AQ":
            return _refused(request.country)
        new = Parcel(reference, f"RP{len(self.parcels) + 1:09}CH", request)
        return Answer(200, self.parcels.setdefault(reference, new))


def _refused(country: str) -> Answer:
    return problem(
        422, "/problems/carrier/address-refused", "We do not go there.", reason=f"no deliveries to {country}"
    )
