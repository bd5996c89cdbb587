"""
Route template of a request routed by Starlette or FastAPI, such as ``/tenant/{id}/items/{item}``.

Never the raw path, nor a part of it: a grouping field must not contain arbitrary client input. The routers store the
last route in the scope; the mounts above it are reconstructed from the parts of the path that they matched. The
frameworks may not be installed, so nothing is imported from them: only long-standing attributes of routes are read.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Scope = Mapping[str, Any]
Mounts = list[tuple[str, str]]
"""Templates of mounts from the outermost to the innermost, each with the part of the path that it matched."""

_REST = "/{path}"  # the end of every mount's template: the path for the mounted application


class RouteTemplates:
    """Finds route templates. One instance per middleware, which caches the mounts without parameters."""

    def __init__(self) -> None:
        self._plain_mounts: set[str] = set()

    def find(self, scope: Scope, mounted_at: int) -> str | None:
        """
        Return the template of the matched route, or None without a match.

        Args:
            scope: The scope after routing.
            mounted_at: Length of ``root_path`` when the request arrived, if there are mounts above the middleware,
                else 0. Their part is omitted from the template.
        """
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return None
        selected = _get_selected_template(scope, endpoint)
        if "app_root_path" not in scope:  # set by the first mount
            return selected or _search_template(scope, endpoint, _get_routes(scope.get("router")))
        deployed_at = len(scope["app_root_path"])
        path, above = scope["root_path"][deployed_at:], max(0, mounted_at - deployed_at)
        if selected is not None and path in self._plain_mounts:
            return str(path[above:]) + selected
        found = _find_mounts(path, _get_routes(scope.get("router")))
        if found is None:
            return None
        mounts, routes_below = found
        if path == "".join(template for template, _ in mounts):
            self._plain_mounts.add(path)  # bounded by the number of mounts
        if selected is None:
            # An application without routes, such as StaticFiles, is identified by its mount alone.
            selected = _search_template(scope, endpoint, routes_below) if routes_below else _REST
        return selected and _join_templates(above, mounts) + selected


def _get_selected_template(scope: Scope, endpoint: Any) -> str | None:
    """Return the template of the route selected by a router, if that route has *endpoint*."""
    route = scope.get("route")
    if getattr(route, "endpoint", None) is not endpoint:
        return None  # a mount, or a route of an outer router
    # FastAPI stores the prefix of `include_router(router, prefix=…)` separately from the route.
    if "fastapi" in scope:
        included = scope["fastapi"].get("effective_route_context")
        if included is not None and included.original_route is route:
            route = included
    return getattr(route, "path_format", None) or getattr(route, "path", None)


def _search_template(scope: Scope, endpoint: Any, routes: Iterable[Any]) -> str | None:
    """Return the template of the route of *endpoint*, for routers that do not store the selected route."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    for route in _flatten(routes):
        if getattr(route, "endpoint", None) is endpoint and route.path_regex.match(path):
            return str(route.path_format)
    return None


def _find_mounts(path: str, routes: Iterable[Any]) -> tuple[Mounts, Iterable[Any]] | None:
    """Return the mounts in *routes* that matched *path*, and the routes below the last one."""
    if not path:
        return [], routes
    for route in _flatten(routes):
        # Only mounts have routes.
        match = route.path_regex.match(path + "/") if hasattr(route, "routes") else None
        if match is None:
            continue
        taken = path[: len(path) - len(match["path"])]
        below = _find_mounts(path[len(taken) :], _get_routes(route.app))
        if below is not None:
            mounts, routes_below = below
            return [(route.path_format.removesuffix(_REST), taken), *mounts], routes_below
    return None


def _join_templates(above: int, mounts: Mounts) -> str:
    """Join the templates of *mounts*, without those that matched the first *above* characters of the path."""
    templates, passed = "", 0
    for template, taken in mounts:
        if passed >= above:
            templates += template
        passed += len(taken)
    return templates


def _get_routes(app: Any) -> Iterable[Any]:
    """Return the routes of an application, also if middleware wraps it."""
    while app is not None and not hasattr(app, "routes"):
        app = getattr(app, "app", None)
    return getattr(app, "routes", ())


def _flatten(routes: Iterable[Any]) -> Iterator[Any]:
    """Yield all routes that have a path, including those of included FastAPI routers and of hosts."""
    for route in routes:
        if hasattr(route, "path_regex"):
            yield route
        elif hasattr(route, "effective_route_contexts"):
            yield from _flatten(context.starlette_route or context for context in route.effective_route_contexts())
        else:
            yield from _flatten(_get_routes(getattr(route, "app", None)))
