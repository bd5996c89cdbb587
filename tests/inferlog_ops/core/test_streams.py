"""Which namespaces may become a part of a data stream's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_stream_name, check_namespace
from inferlog_ops.provision.elasticsearch import provision_cluster

FORBIDDEN = set('-*?\\/<>|,:#" ')


@pytest.mark.parametrize("namespace", ["default", "a", "prod_eu", "team.a", "2026", "a" * 100])
def test_valid_namespace_is_accepted(namespace: str) -> None:
    assert build_stream_name("events", namespace) == f"logs-inference.events-{namespace}"


@pytest.mark.parametrize(
    "namespace", ["", "Prod", "a-b", "*", "a b", "a,b", "_a", ".a", "a/b", "a" * 101, "default\n", "é", "a|limit 1"]
)
def test_invalid_namespace_is_rejected_with_the_expected_form(namespace: str) -> None:
    with pytest.raises(OperatorError, match="expected 1 to 100 of a-z, 0-9, _ and .") as refusal:
        check_namespace(namespace)
    assert repr(namespace) in str(refusal.value)
    assert refusal.value.exit_code == 2


@given(st.text(min_size=1))
def test_accepted_namespace_contains_only_name_characters(namespace: str) -> None:
    try:
        taken = check_namespace(namespace)
    except OperatorError:
        return
    assert not FORBIDDEN & set(taken)
    assert taken == taken.lower()


def test_invalid_namespace_is_rejected_before_connecting() -> None:
    with pytest.raises(OperatorError, match="the namespace is 'A-B'"):
        provision_cluster(Cluster(url="http://127.0.0.1:1", namespace="A-B"))
