"""
The route template of a request that Starlette or FastAPI has routed, such as ``/tenant/{id}/items/{item}``.

Never the raw path, nor a part of it: a field to group by must not take whatever a client sends. The routers leave
the last route in the scope; the mounts above it are found again by what they took from the path. Nothing is imported
from the frameworks, which may not be installed: what is read are attributes that their routes have had for years.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Scope = Mapping[str, Any]
Mounts = list[tuple[str, str]]
"""Templates of mounts from the outermost in, each with what it took from the path."""

_REST = "/{path}"  # the end of every mount's template: what is left to the application below it


class RouteTemplates:
    """Finds route templates. One for each middleware: it remembers which mounts have no parameters."""

    def __init__(self) -> None:
        self._plain_mounts: set[str] = set()

    def __call__(self, scope: Scope, mounted_at: int) -> str | None:
        """
        Return the template of the route that took the request, or None if none did.

        Args:
            scope: As the routers have left it.
            mounted_at: Length of ``root_path`` when the request came in, if mounts were above the middleware by then,
                else 0. Their part is left out of the template.
        """
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return None
        selected = _selected(scope, endpoint)
        if "app_root_path" not in scope:  # set by the first mount that is passed
            return selected or _searched(scope, endpoint, _routes(scope.get("router")))
        deployed_at = len(scope["app_root_path"])
        path, above = scope["root_path"][deployed_at:], max(0, mounted_at - deployed_at)
        if selected is not None and path in self._plain_mounts:
            return str(path[above:]) + selected
        found = _mounts(path, _routes(scope.get("router")))
        if found is None:
            return None
        mounts, routes_below = found
        if path == "".join(template for template, _ in mounts):
            self._plain_mounts.add(path)  # no more of them than the service has mounts
        if selected is None:
            # An application without routes, such as StaticFiles, is known by its mount alone.
            selected = _searched(scope, endpoint, routes_below) if routes_below else _REST
        return selected and _templates_below(above, mounts) + selected


def _selected(scope: Scope, endpoint: Any) -> str | None:
    """Return the template of the route that a router says it has selected, if it is the one that answers."""
    route = scope.get("route")
    if getattr(route, "endpoint", None) is not endpoint:
        return None  # a mount, or a route further up
    # FastAPI keeps the prefix of `include_router(router, prefix=…)` apart from the route.
    included = scope.get("fastapi", {}).get("effective_route_context")
    if included is not None and included.original_route is route:
        route = included
    return getattr(route, "path_format", None) or getattr(route, "path", None)


def _searched(scope: Scope, endpoint: Any, routes: Iterable[Any]) -> str | None:
    """Return the template of the route of *endpoint*, where the router does not say which one it has selected."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    for route in _flat(routes):
        if getattr(route, "endpoint", None) is endpoint and route.path_regex.match(path):
            return str(route.path_format)
    return None


def _mounts(path: str, routes: Iterable[Any]) -> tuple[Mounts, Iterable[Any]] | None:
    """Return the mounts below *routes* that took *path*, and the routes below the last of them."""
    if not path:
        return [], routes
    for route in _flat(routes):
        # Of all routes only a mount has routes.
        match = route.path_regex.match(path + "/") if hasattr(route, "routes") else None
        if match is None:
            continue
        taken = path[: len(path) - len(match["path"])]
        below = _mounts(path[len(taken) :], _routes(route.app))
        if below is not None:
            mounts, routes_below = below
            return [(route.path_format.removesuffix(_REST), taken), *mounts], routes_below
    return None


def _templates_below(above: int, mounts: Mounts) -> str:
    """Join the templates of *mounts*, without those that took the path's first *above* characters."""
    templates, passed = "", 0
    for template, taken in mounts:
        if passed >= above:
            templates += template
        passed += len(taken)
    return templates


def _routes(app: Any) -> Iterable[Any]:
    """Return the routes of an application, also where middleware is wrapped around it."""
    while app is not None and not hasattr(app, "routes"):
        app = getattr(app, "app", None)
    return getattr(app, "routes", ())


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    """Go through what has a path: routers that FastAPI has included and hosts are looked into."""
    for route in routes:
        if hasattr(route, "path_regex"):
            yield route
        elif hasattr(route, "effective_route_contexts"):
            yield from _flat(context.starlette_route or context for context in route.effective_route_contexts())
        else:
            yield from _flat(_routes(getattr(route, "app", None)))
