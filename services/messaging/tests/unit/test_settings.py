from crm_messaging.settings import MessagingSettings
from pytest import MonkeyPatch


class TestSweepTimes:
    def test_are_patient_in_production_and_short_in_development(self) -> None:
        production = MessagingSettings(crm_env="production")
        development = MessagingSettings(crm_env="development")
        assert (production.sweep_seconds, production.sweep_grace_seconds) == (15, 60)
        assert (development.sweep_seconds, development.sweep_grace_seconds) == (2, 2)
        assert (production.check_seconds, development.check_seconds) == (300, 5)

    def test_come_from_the_environment(self, monkeypatch: MonkeyPatch) -> None:
        monkeypatch.setenv("SESSION_SWEEP_SECONDS", "0.5")
        monkeypatch.setenv("SESSION_SWEEP_GRACE_SECONDS", "0")
        monkeypatch.setenv("SESSION_CHECK_SECONDS", "7")
        settings = MessagingSettings(crm_env="production")
        assert settings.check_seconds == 7
        assert (settings.sweep_seconds, settings.sweep_grace_seconds) == (0.5, 0)
