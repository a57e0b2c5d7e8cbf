"""Settings: where they come from, which win, and what stops the start."""

from pathlib import Path

import pytest

from gateway.contract.topics import Count
from gateway.localkafka.backend import BACKEND_VARIABLE
from gateway.settings import LogLevel, Secret, SecurityProtocol, Settings, SettingsError, load, settings_table
from gateway.settings.data_dir import make_data_dir
from gateway.settings.load import READ_ELSEWHERE

FIXED_NAMES = {
    "SENDGUARD_KAFKA_BOOTSTRAP_SERVERS",
    "SENDGUARD_KAFKA_SECURITY_PROTOCOL",
    "SENDGUARD_DATA_DIR",
    "SENDGUARD_HTTP_HOST",
    "SENDGUARD_HTTP_PORT",
    "SENDGUARD_REPLICATION_FACTOR",
    "SENDGUARD_INSTANCE_ID",
    "SENDGUARD_DATABASE_URL",
    "SENDGUARD_ACCOUNTS",
    "SENDGUARD_JWT_JWKS_URL",
    "SENDGUARD_JWT_ISSUER",
    "SENDGUARD_JWT_AUDIENCE",
    "SENDGUARD_API_URL",
    "SENDGUARD_API_KEY",
}


def config_file(folder: Path, text: str) -> Path:
    path = folder / "sendguard.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(environment: dict[str, str], config: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as stopped:
        load(environment, config)
    return stopped.value.problems


def test_without_any_setting_everything_has_its_default() -> None:
    settings = load({})
    assert settings.kafka.bootstrap_servers == "localhost:9092"
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert settings.topics.replication_factor == 3
    assert settings.topics.min_insync_replicas == 2
    assert settings.guard.group_id == "sendguard.guard"
    assert settings.data_dir == Path("data")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    config = config_file(tmp_path, 'http_port = 1\nhttp_host = "10.0.0.1"\n')
    settings = load({"SENDGUARD_HTTP_PORT": "2"}, config)
    assert (settings.http.host, settings.http.port) == ("10.0.0.1", 2)


def test_the_file_can_be_named_by_the_environment_and_the_argument_wins(tmp_path: Path) -> None:
    named = config_file(tmp_path, "http_port = 1\n")
    other = tmp_path / "other.toml"
    other.write_text("http_port = 2\n", encoding="utf-8")
    environment = {"SENDGUARD_CONFIG": str(named)}
    assert load(environment).http.port == 1
    assert load(environment, other).http.port == 2


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load({"SENDGUARD_KAFKA_SSL_CAFILE": "", "SENDGUARD_HTTP_PORT": ""}).http.port == 8080


def test_variables_of_other_programs_are_not_looked_at() -> None:
    assert load({"KAFKA_HTTP_PORT": "x", "HTTP_PORT": "x", BACKEND_VARIABLE: "docker"}) == load({})
    assert BACKEND_VARIABLE in READ_ELSEWHERE


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SENDGUARD_HTTP_PRT", "1", "SENDGUARD_HTTP_PRT: there is no such setting; did you mean SENDGUARD_HTTP_PORT?"),
        ("SENDGUARD_ZZZ", "1", "SENDGUARD_ZZZ: there is no such setting"),
        ("SENDGUARD_HTTP_PORT", "high", "SENDGUARD_HTTP_PORT: expected integer from 0 to 65535, got 'high'"),
        ("SENDGUARD_HTTP_PORT", "65536", "SENDGUARD_HTTP_PORT: expected integer from 0 to 65535, got '65536'"),
        ("SENDGUARD_HTTP_PORT", "80.5", "SENDGUARD_HTTP_PORT: expected integer from 0 to 65535, got '80.5'"),
        ("SENDGUARD_REPLICATION_FACTOR", "0", "SENDGUARD_REPLICATION_FACTOR: expected integer from 1 to 9, got '0'"),
        (
            "SENDGUARD_REQUEST_RETENTION_HOURS",
            "23",
            "SENDGUARD_REQUEST_RETENTION_HOURS: expected integer from 24 to 87600, got '23'",
        ),
        (
            "SENDGUARD_KAFKA_SECURITY_PROTOCOL",
            "TLS",
            "SENDGUARD_KAFKA_SECURITY_PROTOCOL: expected one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, got 'TLS'",
        ),
        (
            "SENDGUARD_KAFKA_SSL_CHECK_HOSTNAME",
            "maybe",
            "SENDGUARD_KAFKA_SSL_CHECK_HOSTNAME: expected true or false, got 'maybe'",
        ),
        (
            "SENDGUARD_TOPIC_PREFIX",
            "a b",
            "SENDGUARD_TOPIC_PREFIX: expected text matching ^[a-zA-Z0-9._-]*$, got 'a b'",
        ),
    ],
)
def test_an_unknown_variable_or_a_bad_value_stops_and_is_named(variable: str, value: str, said: str) -> None:
    assert problems({variable: value}) == (said,)


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    config = config_file(tmp_path, 'replication_factor = "many"\nhttp = 3\nlog_level = 5\n')
    named = [problem.partition(": ")[2].partition(":")[0] for problem in problems({}, config)]
    assert sorted(named) == ["http", "log_level", "replication_factor"]


@pytest.mark.parametrize(
    ("text", "said"), [("http_port = [", "expected TOML"), ("[http]\nport = 1", "http: there is no such setting")]
)
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in problems({}, config_file(tmp_path, text))[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.toml"
    assert problems({}, missing) == (f"{missing}: cannot be read: No such file or directory",)


def test_words_may_be_written_in_lower_case() -> None:
    settings = load({"SENDGUARD_LOG_LEVEL": "debug", "SENDGUARD_KAFKA_SECURITY_PROTOCOL": "ssl"})
    assert settings.log_level is LogLevel.DEBUG
    assert settings.kafka.security_protocol is SecurityProtocol.SSL


def test_a_secret_prints_as_stars_wherever_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELSEWHERE", "hidden-1")
    mounted = tmp_path / "password"
    mounted.write_text("hidden-2\n", encoding="utf-8")
    for written, value in (("env:ELSEWHERE", "hidden-1"), (f"file:{mounted}", "hidden-2"), ("hidden-3", "hidden-3")):
        settings = load({"SENDGUARD_KAFKA_SASL_PASSWORD": written})
        assert settings.kafka.sasl_password == Secret(value)
        assert "hidden" not in f"{settings} {settings!r} {settings.kafka.sasl_password}"


def test_a_secret_that_cannot_be_found_is_named_and_not_shown(tmp_path: Path) -> None:
    for written in ("env:NOT_THERE_AT_ALL", f"file:{tmp_path / 'none'}"):
        (problem,) = problems({"SENDGUARD_KAFKA_SASL_PASSWORD": written})
        assert problem.startswith("SENDGUARD_KAFKA_SASL_PASSWORD: expected text, env:NAME or file:PATH, got ******")
        assert written.partition(":")[2] in problem


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kafka_security_protocol": "SASL_SSL", "kafka_sasl_username": "me"}, "kafka_sasl_password"),
        ({"kafka_ssl_keyfile": "key.pem"}, "kafka_ssl_certfile"),
        ({"jwt_jwks_url": "https://keys.example.com/jwks", "jwt_issuer": "us"}, "jwt_issuer, jwt_audience: expected"),
        ({"jwt_jwks_url": "http://keys.example.com", "jwt_issuer": "i", "jwt_audience": "a"}, "jwt_jwks_url: expected"),
        ({"api_url": "http://gw.example.com"}, "api_url: expected the URL of a server with https"),
        ({"request_partitions": 12, "output_partitions": 6}, "output_partitions: expected at least request_partitions"),
    ],
)
def test_values_that_contradict_each_other_stop_the_start(given: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings.of(**given)


def test_defaults_follow_the_settings_they_are_derived_from() -> None:
    settings = Settings.of(request_partitions=5, topic_prefix="eu.")
    assert settings.topics.output_partitions == 5
    assert settings.guard.group_id == "eu.sendguard.guard"
    assert [settings.topics.count(count) for count in Count] == [5, 5, 6, 6]


@pytest.mark.parametrize(("factor", "majority"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_min_insync_replicas_is_a_majority(factor: int, majority: int) -> None:
    assert Settings.of(replication_factor=factor).topics.min_insync_replicas == majority


def test_every_setting_is_one_row_with_a_sentence_and_the_public_names_are_there() -> None:
    table = settings_table()
    variables = [setting.variable for setting in table]
    assert len(set(variables)) == len(variables)
    assert set(variables) >= FIXED_NAMES
    for setting in table:
        assert setting.what.endswith("."), setting
        assert setting.kind, setting
        assert (setting.unit == "ms") == setting.key.endswith("_ms"), setting


def test_every_default_in_the_table_that_is_a_value_is_accepted_as_written() -> None:
    written = {row.variable: row.default for row in settings_table() if row.default and " " not in row.default}
    assert load(written) == load({})


@pytest.mark.parametrize("name", ["", "not/there/yet"])
def test_a_data_directory_is_made_and_left_empty(tmp_path: Path, name: str) -> None:
    make_data_dir(tmp_path / name)
    assert list((tmp_path / name).iterdir()) == []


@pytest.mark.parametrize("below", ["", "data"])
def test_a_data_directory_that_cannot_be_used_is_named_with_what_was_expected(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SettingsError, match=r"^data_dir: expected a directory .* write to, .*file") as refused:
        make_data_dir(file / below)
    assert len(refused.value.problems) == 1


def test_a_data_directory_without_the_right_to_write_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^data_dir: expected a directory"):
        make_data_dir(Path("/proc"))  # nobody may make a file there, root neither
