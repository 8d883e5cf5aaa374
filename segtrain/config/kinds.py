"""Says what the annotations of a class ask of the plain values of a config: numbers, text, lists and mappings."""

import inspect
import os
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Union

LISTS = (list, tuple, set, frozenset, Sequence, Collection, Iterable, Iterator)
WORDS = {
    bool: ("true or false", "values true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text (a number as text in quotes)", "texts"),
}


def kinds_of(target: Any) -> dict[str, Any]:
    """Returns argument to annotation of a class or function.

    An annotation that cannot be resolved is left out, and one that the argument's own default contradicts, as some
    libraries have it.
    """
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return {}
    code = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    found = {}
    for name, parameter in parameters.items():
        hint = _resolved(parameter.annotation, getattr(code, "__globals__", {}))
        known = hint is not inspect.Parameter.empty
        if known and (parameter.default in (inspect.Parameter.empty, None) or is_of(parameter.default, hint)):
            found[name] = Union[hint, None] if parameter.default is None else hint  # noqa: UP007  # of any kind of hint
    return found


def _resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """Returns the annotation itself, where it is given as text; empty where it cannot be resolved."""
    if not isinstance(annotation, str):
        return annotation
    carrier = types.FunctionType((lambda: None).__code__, names)
    carrier.__annotations__ = {"it": annotation}
    try:
        return typing.get_type_hints(carrier)["it"]
    except (NameError, TypeError, AttributeError, SyntaxError):
        return inspect.Parameter.empty


def is_of(value: Any, hint: Any) -> bool:
    """Returns whether a plain value is what an annotation asks for; what is no plain kind is not judged.

    A whole number is a number, a list any sequence, text any path, and a mapping with a `_target_` any object.
    """
    if isinstance(value, Mapping) and "_target_" in value:
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        judged = [one for one in arguments if is_plain(one) and one is not type(None)]
        return not judged or any(is_of(value, one) if is_plain(one) else _could_be(value, one) for one in arguments)
    if not is_plain(hint):
        return True
    if hint is None or hint is type(None):
        return value is None
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in arguments)
    if (origin or hint) in LISTS:
        return isinstance(value, list | tuple) and _are_of(list(value), origin, arguments)
    if _is_mapping(origin or hint):
        each = arguments[1] if len(arguments) == 2 else Any
        return isinstance(value, Mapping) and all(is_of(item, each) for item in value.values())
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint if hint in (bool, int) else isinstance(value, str | os.PathLike)


def _could_be(value: Any, hint: Any) -> bool:
    """Returns whether a value may be meant by one of several annotations that is of no plain kind."""
    kind = typing.get_origin(hint) or hint
    try:
        return isinstance(value, kind)
    except TypeError:  # Any, a type variable, a protocol: nothing is known
        return True


def _are_of(items: list[Any], origin: Any, arguments: tuple[Any, ...]) -> bool:
    if origin is tuple and arguments[-1:] != (Ellipsis,):
        return len(items) == len(arguments) and all(map(is_of, items, arguments))
    return all(is_of(item, arguments[0]) for item in items) if arguments else True


def is_plain(hint: Any) -> bool:
    """Returns whether an annotation is of values that a config can hold, so that they can be judged by it."""
    origin = typing.get_origin(hint)
    kind = origin or hint
    if origin in (Union, types.UnionType):
        return any(is_plain(one) for one in typing.get_args(hint))
    if kind in (None, type(None), bool, int, float, str, Literal) or kind in LISTS or _is_mapping(kind):
        return True
    return inspect.isclass(kind) and issubclass(kind, os.PathLike)


def _is_mapping(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Mapping)


def words(hint: Any, several: bool = False) -> str:
    """Returns what an annotation asks for, such as "a whole number or a list of whole numbers, or null"."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        told = list(dict.fromkeys(words(one, several) for one in arguments if is_plain(one)))
        return ", or ".join(sorted(told, key=lambda one: one == "null"))
    if hint is None or hint is type(None):
        return "null"
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if (origin or hint) in LISTS:
        return _list_words(origin, arguments, several)
    if _is_mapping(origin or hint):
        return "mappings" if several else "a mapping, {name: value}"
    path = inspect.isclass(hint) and issubclass(hint, os.PathLike)
    one, more = WORDS.get(str if path else hint, ("a value", "values"))
    return more if several else one


def _list_words(origin: Any, arguments: tuple[Any, ...], several: bool) -> str:
    fixed = origin is tuple and arguments and arguments[-1] is not Ellipsis
    of = words(arguments[0], True) if arguments else "values"
    return f"{'lists' if several else 'a list'} of {f'{len(arguments)} ' if fixed else ''}{of}"


def same_kind(value: Any, known: Any) -> bool:
    """Returns whether a value is of the kind of a known one for certain: then no annotation need be looked up."""
    if isinstance(known, list):
        of = isinstance(value, list) and len(value) == len(known) > 0
        return of and all(same_kind(item, known[0]) for item in value)
    if isinstance(known, str) and isinstance(value, str):
        return "${" not in known + value and known != "???"
    if type(known) is float:
        return type(value) in (int, float)
    return type(known) in (bool, int) and type(value) is type(known)
