"""`everbake.toml` and the environment."""

import pytest

from everbake.config.settings import Settings, load_settings
from everbake.errors import UsageError


def test_without_a_file_everything_has_a_default(tmp_path):
    assert load_settings(tmp_path, {}) == Settings()


def test_the_environment_wins_over_the_file(tmp_path):
    (tmp_path / "everbake.toml").write_text(
        'port = 9000\nworkers = 3\nallow_hosts = ["ml.local"]\n'
    )
    found = load_settings(tmp_path, {"EVERBAKE_PORT": "9100"})
    assert (found.port, found.workers, found.allow_hosts) == (9100, 3, ("ml.local",))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("port = [", "no TOML"),
        ("prot = 1", "did you mean 'port'"),
        ("port = 70000", "port is 70000"),
        ("workers = 0", "workers is 0"),
        ('ledger = "mysql://x"', "ledger is neither"),
        ('log_sync = "always"', "log_sync"),
        ('log_full = "drop"', "log_full"),
        ("allow_hosts = 3", "allow_hosts"),
        ('otel_endpoint = "localhost:4318"', "otel_endpoint is"),
        ('log_keep = "long"', "log_keep is 'long'"),
        ('log_bytes = "50 gigs"', "log_bytes is '50 gigs'"),
        ("waiting = 0", "waiting is 0"),
        ("request_rows = -5", "request_rows is -5"),
        ("request_bytes = 10", "request_bytes is 10"),
        ('request_seconds = "soon"', "request_seconds is 'soon'"),
        ("request_seconds = nan", "request_seconds is nan"),
    ],
)
def test_what_is_no_setting_is_refused_with_a_reason(tmp_path, text, why):
    (tmp_path / "everbake.toml").write_text(text)
    with pytest.raises(UsageError, match=why) as told:
        load_settings(tmp_path, {})
    assert told.value.code == "EB010"


def test_the_log_is_kept_for_a_span_and_up_to_a_size(tmp_path):
    (tmp_path / "everbake.toml").write_text('log_keep = "36h"\nlog_bytes = "2M"\n')
    found = load_settings(tmp_path, {"EVERBAKE_LOG_KEEP": "7d"})
    assert (found.log_keep, found.log_bytes) == (7 * 86400, 2 * 2**20)
    assert load_settings(tmp_path, {"EVERBAKE_LOG_BYTES": "1000"}).log_bytes == 1000


def test_a_ledger_may_be_named_by_a_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("LEDGER_URL", "postgresql://host/db")
    (tmp_path / "everbake.toml").write_text('ledger = "env:LEDGER_URL"')
    assert load_settings(tmp_path, {}).ledger == "postgresql://host/db"
