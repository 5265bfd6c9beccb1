import ast

from tests.architecture.source import files, name, nodes

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500


def test_no_function_is_longer_than_a_screen():
    sizes = {
        f"{file}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for file, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef)
    }
    assert {where: size for where, size in sizes.items() if size > FUNCTION_LINES_MAX} == {}


def test_no_file_is_too_long_to_know():
    sizes = {name(file): len(file.read_text("utf-8").splitlines()) for file in files()}
    assert {where: size for where, size in sizes.items() if size > FILE_LINES_MAX} == {}
