"""`enfilade release payments --from ../next`: another version of a process, while its plan runs."""

from __future__ import annotations

import click

from enfilade.cli.refused import start_errors
from enfilade.cli.steer import dry_option, steer, without_option
from enfilade.cli.target import app_option, configuration_of


class _Percent(click.ParamType[float]):
    name = "PERCENT"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            share = float(str(value).removesuffix("%"))
        except ValueError:
            share = 0.0
        if not 0 < share <= 100:
            self.fail(f"{value!r} is no share such as 10%.", param, ctx)
        return share


class _Percents(click.ParamType[tuple[float, ...]]):
    name = "PERCENT,..."

    def convert(
        self, value: str | tuple[float, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if not isinstance(value, str):
            return value
        shares = tuple(_Percent().convert(one.strip(), param, ctx) for one in value.split(","))
        if list(shares) != sorted(set(shares)):
            self.fail(f"{value!r} does not grow from step to step.", param, ctx)
        return shares


@click.command()
@click.argument("name")
@click.option("--from", "said", metavar="PATH_OR_REF", required=True, help="Where its code is: a folder, or a commit.")
@click.option("--canary", type=_Percent(), default=10.0, help="Its share of the calls at first; 10%.")
@click.option("--steps", type=_Percents(), help="All shares that it gets; the canary's, 50 and 100.")
@click.option("--watch", default="10s", metavar="SECONDS", help="For how long each step is watched; 10s.")
@without_option
@app_option
@dry_option
def release(
    name: str,
    said: str,
    canary: float,
    steps: tuple[float, ...] | None,
    watch: str,
    without: tuple[str, ...],
    app: str | None,
    dry_run: bool,
) -> None:
    """Put another version of a process in force.

    NAME is a process of the plan that runs, or a service in it. The version is started beside the one that runs, if it
    gets on with all others; it gets more and more of the calls, and goes again where it does worse. Ctrl-C gives it up.
    """
    from enfilade.plan.checkout import code
    from enfilade.plan.control import Trial

    try:
        seconds = float(watch.removesuffix("s"))
    except ValueError:
        raise click.BadParameter(f"{watch!r} is no time such as 10s.", param_hint="--watch") from None
    with start_errors():
        folder = code(said, configuration_of(app).folder)
    shares = steps or tuple(sorted({canary, *(one for one in (50.0, 100.0) if one > canary)}))
    if shares[-1] != 100.0:
        shares = (*shares, 100.0)
    trial = Trial(steps=shares, watch=seconds)
    steer(app, lambda control: control.release(name, str(folder), said, trial, dry_run, without))
