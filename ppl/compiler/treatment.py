"""Pass: what becomes of every site. Data are observed, parameters are points, the rest is guided."""

from __future__ import annotations

import math
from dataclasses import replace

from ppl.errors import Diagnostic
from ppl.model.model import Param, Site
from ppl.model.plan import Plan, SitePlan


def treat(plan: Plan) -> Plan:
    """Give every site and parameter its treatment; warn of improper priors."""
    sites: dict[str, SitePlan] = {}
    warnings: list[Diagnostic] = []
    for statement in plan.model.statements:
        if isinstance(statement, Param):
            noted = "optimised as a point, as noted: its prior counts, it has no posterior"
            reason = noted if statement.prior else "learned point parameter: no prior, no posterior"
            size, support = math.prod(statement.shape), statement.support.name
            sites[statement.name] = SitePlan(
                statement.name, statement.axes, "point", reason, bijection=support, size=size
            )
        elif isinstance(statement, Site):
            sites[statement.name] = _treat_site(statement)
            if statement.observed is None and not statement.distribution.family.proper:
                warnings.append(
                    Diagnostic(
                        "W601",
                        statement.distribution.span or statement.span,
                        "improper prior: no evidence estimate, and the ELBO may be unbounded",
                    )
                )
    return replace(plan, sites=sites).warned(warnings)


def _treat_site(site: Site) -> SitePlan:
    count = math.prod(axis.size for axis in site.axes)
    if site.observed is not None:
        reason = f"{site.distribution.name}, {count} term{'s' * (count != 1)}"
        return SitePlan(site.name, site.axes, "observed", reason, size=math.prod(site.shape))
    return SitePlan(site.name, site.axes, "guided", f"latent {site.distribution.name}", size=math.prod(site.shape))
