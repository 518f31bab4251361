"""Packages that tests need: left alone where they are, else a skip with the reason, and a failure in CI."""

import pytest

from tests.debian import CannotInstallError, install, require


@pytest.fixture
def no_debian(monkeypatch):
    monkeypatch.setenv("PATH", "")  # no apt-get


def test_what_is_there_is_left_alone(no_debian):
    install(["chromium"], there=lambda: True)


def test_where_nothing_can_be_installed_the_reason_is_told(no_debian):
    with pytest.raises(CannotInstallError, match="chromium must be there, or be installed"):
        install(["chromium"], there=lambda: False)


def test_a_test_without_its_packages_is_skipped_and_fails_in_ci(no_debian, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="chromium"):
        require(["chromium"], there=lambda: False)
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="chromium"):
        require(["chromium"], there=lambda: False)
