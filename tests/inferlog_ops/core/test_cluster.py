"""The address of an Elasticsearch and the API key for it, as every command takes them from its options."""

from pathlib import Path

import pytest

from inferlog_ops.core.cluster import Cluster, resolve_cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.ship.bulk_client import BulkClient
from inferlog_ops.ship.settings import ShipSettings
from tests.support.commands import run_here

ENCODED = "aWQ6c2VjcmV0LWtleQ=="
"""``id:secret-key`` as it goes into a header."""


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ELASTICSEARCH_URL", "ELASTICSEARCH_API_KEY", "ELASTICSEARCH_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "api_key"
    path.write_text("id:secret-key\n")
    monkeypatch.setenv("ELASTICSEARCH_API_KEY_FILE", str(path))
    return path


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://es.example", "http://es.example:80"),
        ("https://es.example", "https://es.example:443"),
        ("http://es.example/", "http://es.example:80"),
        ("https://es.example/search/", "https://es.example:443/search"),
        ("http://user:secret@es.example", "http://es.example:80"),
        ("http://[::1]", "http://[::1]:80"),
        ("http://es.example:9200", "http://es.example:9200"),
    ],
)
def test_address_without_a_port_means_the_port_of_its_scheme_to_client_and_shipper(url: str, wanted: str) -> None:
    cluster = resolve_cluster(url, "default")
    with cluster.build_client() as client:
        (node,) = client.transport.node_pool.all()
        assert node.base_url == wanted
    store = BulkClient(cluster, ShipSettings())
    assert wanted.startswith(f"{store._pool.scheme}://{cluster.parse_address().host}:{store._pool.port}")
    store.close()


@pytest.mark.parametrize("command", [["query", "p99_latency"], ["ship", "--once"], ["provision"], ["redrive"]])
@pytest.mark.parametrize("url", ["es.example:9200", "ftp://es.example", "http://", "http://user:secret@[::1"])
def test_command_rejects_an_address_that_is_not_http(command: list[str], url: str, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    done = run_here(*command, "--url", url, "--home", tmp_path)
    assert done.returncode == 2, done.stderr
    assert "expected http(s)://host:port" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("text", ["id:secret-key", "id:secret-key\n", f"{ENCODED}\r\n"])
def test_api_key_file_holds_either_form_of_the_key(text: str, key_file: Path) -> None:
    key_file.write_text(text)
    assert resolve_cluster("http://es.example", "default").read_api_key() == ENCODED


def test_api_key_is_taken_in_either_form_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("id:secret-key", ENCODED):
        monkeypatch.setenv("ELASTICSEARCH_API_KEY", text)
        assert resolve_cluster("http://es.example", "default").read_api_key() == ENCODED


def test_api_key_file_is_read_again_for_each_client(key_file: Path) -> None:
    cluster = resolve_cluster("http://es.example", "default")
    for key in (ENCODED, "bmV3OmtleQ=="):
        key_file.write_text(key)
        with cluster.build_client() as client:
            assert client._headers["authorization"] == f"ApiKey {key}"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nkeys", b"id secret", "schlüssel".encode(), b"\xff\xfe"])
def test_api_key_file_without_a_key_is_rejected_by_its_name(content: bytes, key_file: Path) -> None:
    key_file.write_bytes(content)
    with pytest.raises(OperatorError, match="does not hold an API key; expected id:key") as refused:
        resolve_cluster("http://es.example", "default")
    assert str(key_file) in str(refused.value)
    assert refused.value.exit_code == 2
    assert "secret" not in str(refused.value)


def test_missing_api_key_file_is_rejected_by_its_name(key_file: Path) -> None:
    key_file.unlink()
    with pytest.raises(OperatorError, match=f"{key_file}.* cannot be read: No such file") as refused:
        resolve_cluster("http://es.example", "default")
    assert refused.value.exit_code == 2


@pytest.mark.usefixtures("key_file")
def test_api_key_given_twice_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELASTICSEARCH_API_KEY", ENCODED)
    with pytest.raises(OperatorError, match="are both set; unset one") as refused:
        resolve_cluster("http://es.example", "default")
    assert refused.value.exit_code == 2


def test_cluster_shows_no_key() -> None:
    assert ENCODED not in repr(Cluster(url="http://es.example", api_key=ENCODED))
