"""Function middleware runs the app in a task of its own: streams and cancellation break."""

import ast

import pytest

from tests.architecture.source import files, name, tree


def function_middleware(module: ast.Module) -> list[int]:
    return [node.lineno for node in ast.walk(module) if is_middleware(node)]


def is_middleware(node: ast.AST) -> bool:
    if isinstance(node, ast.alias):
        return node.name.endswith("BaseHTTPMiddleware")
    if isinstance(node, ast.Attribute):
        return node.attr in {"middleware", "BaseHTTPMiddleware"} and isinstance(node.ctx, ast.Load)
    return False


def test_the_api_has_no_function_middleware():
    found = [f"{name(file)}:{line}" for file in files() for line in function_middleware(tree(file))]
    assert found == [], "write an ASGI class and add it with app.add_middleware"


@pytest.mark.parametrize(
    "planted",
    [
        '@app.middleware("http")\nasync def timing(request, call_next): ...',
        "from starlette.middleware.base import BaseHTTPMiddleware",
        "class Timing(base.BaseHTTPMiddleware): ...",
    ],
)
def test_planted_function_middleware_is_found(planted):
    assert function_middleware(ast.parse(planted)) != []
