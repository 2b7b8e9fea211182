from pathlib import Path

import pytest
from pydantic import SecretStr
from service_kit.environment import administrator
from service_kit.settings import ConfigurationError, ServiceSettings, load

STRONG = "x9-" + "kqzwm" * 8


class SecretiveSettings(ServiceSettings):
    jwt_secret: SecretStr = SecretStr("")
    other_secret: SecretStr = SecretStr("")
    attempts: int = 1

    def secrets(self) -> dict[str, SecretStr]:
        return {"JWT_SECRET": self.jwt_secret, "OTHER_SECRET": self.other_secret}


@pytest.fixture(autouse=True)
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRM_ENV", raising=False)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://app:{STRONG}@db.example/x")
    monkeypatch.setenv("RABBITMQ_URL", f"amqp://app:{STRONG}@mq.example/")
    monkeypatch.setenv("JWT_SECRET", STRONG)
    monkeypatch.setenv("OTHER_SECRET", STRONG)
    monkeypatch.setenv("REQUEST_SIGNING_KEY", STRONG)


class TestLoad:
    def test_accepts_strong_secrets_in_production(self) -> None:
        settings = load(SecretiveSettings)
        assert settings.is_production
        assert settings.jwt_secret.get_secret_value() == STRONG

    def test_lists_every_problem_at_once_without_a_secret(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JWT_SECRET", "tiny-but-mine")
        monkeypatch.delenv("OTHER_SECRET")
        monkeypatch.setenv("RABBITMQ_URL", "amqp://guest:guest@mq.example/")
        monkeypatch.setenv("DB_PASSWORD_FILE", "missing/file")
        with pytest.raises(ConfigurationError) as raised:
            load(SecretiveSettings)
        text = str(raised.value)
        assert len(raised.value.problems) == 4
        for name in ("JWT_SECRET", "OTHER_SECRET", "RabbitMQ password", "DB_PASSWORD_FILE"):
            assert name in text
        assert "tiny-but-mine" not in text
        assert STRONG not in text

    def test_lists_wrong_values_together_with_wrong_files(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ATTEMPTS", "many")
        monkeypatch.setenv("SERVER_PORT", "70000")
        monkeypatch.setenv("JWT_SECRET_FILE", "missing/file")
        with pytest.raises(ConfigurationError) as raised:
            load(SecretiveSettings)
        text = str(raised.value)
        for name in ("ATTEMPTS", "SERVER_PORT", "JWT_SECRET_FILE", "both JWT_SECRET"):
            assert name in text

    def test_lists_weak_secrets_together_with_wrong_values(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ATTEMPTS", "many")
        monkeypatch.setenv("JWT_SECRET", "tiny")
        monkeypatch.setenv("RABBITMQ_URL", "amqp://guest:guest@mq.example/")
        with pytest.raises(ConfigurationError) as raised:
            load(SecretiveSettings)
        assert len(raised.value.problems) == 3
        for name in ("ATTEMPTS", "JWT_SECRET", "RabbitMQ password"):
            assert name in str(raised.value)

    def test_names_a_secret_that_is_missing_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Sealing(SecretiveSettings):
            encryption_key: SecretStr

            def secrets(self) -> dict[str, SecretStr]:
                return {**super().secrets(), "ENCRYPTION_KEY": self.encryption_key}

        monkeypatch.setenv("OTHER_SECRET", "tiny")
        with pytest.raises(ConfigurationError) as raised:
            load(Sealing)
        assert [problem.split()[0] for problem in raised.value.problems] == [
            "ENCRYPTION_KEY:",
            "OTHER_SECRET",
        ]

    def test_refuses_a_long_secret_of_few_characters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JWT_SECRET", "abcdefg" * 10)
        with pytest.raises(ConfigurationError, match="JWT_SECRET must be a secret"):
            load(SecretiveSettings)

    def test_names_a_list_that_is_not_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CONSUMER_RETRY_DELAYS_SECONDS", "30, 60")
        with pytest.raises(ConfigurationError, match="consumer_retry_delays_seconds"):
            load(ServiceSettings)

    @pytest.mark.parametrize("key", ["REQUEST_SIGNING_KEY", "REQUEST_SIGNING_KEY_PREVIOUS"])
    def test_refuses_to_sign_with_a_short_key(
        self, key: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(key, "short")
        with pytest.raises(ConfigurationError, match=f"{key} must be a secret"):
            load(SecretiveSettings)

    def test_refuses_to_sign_with_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("REQUEST_SIGNING_KEY")
        with pytest.raises(ConfigurationError, match="REQUEST_SIGNING_KEY must be a secret"):
            load(SecretiveSettings)

    def test_lets_development_use_weak_secrets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CRM_ENV", "development")
        monkeypatch.setenv("JWT_SECRET", "weak")
        monkeypatch.delenv("REQUEST_SIGNING_KEY")
        assert load(SecretiveSettings).jwt_secret.get_secret_value() == "weak"

    def test_refuses_a_database_elsewhere_without_tls(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = f"postgresql://app:{STRONG}@db.example/x?sslmode=disable"
        monkeypatch.setenv("DATABASE_URL", url)
        with pytest.raises(ConfigurationError, match="DB_SSLMODE"):
            load(SecretiveSettings)

    @pytest.mark.parametrize("password", ["x", "eleven-char", "%41%42%43%44%45%46"])
    def test_refuses_a_short_password_of_the_database_or_the_broker(
        self, monkeypatch: pytest.MonkeyPatch, password: str
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", f"postgresql://app:{password}@db.example/x")
        monkeypatch.setenv("RABBITMQ_URL", f"amqp://app:{password}@mq.example/")
        with pytest.raises(ConfigurationError) as raised:
            load(SecretiveSettings)
        assert raised.value.problems == [
            "the database password needs 12 characters or more",
            "the RabbitMQ password needs 12 characters or more",
        ]

    def test_accepts_a_password_of_twelve_characters(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://app:twelve-chars@db.example/x")
        assert load(SecretiveSettings).is_production


class TestFiles:
    def test_reads_a_setting_from_a_file(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "secret").write_text(f"{STRONG}-from-file\n")
        monkeypatch.delenv("JWT_SECRET")
        monkeypatch.setenv("JWT_SECRET_FILE", str(tmp_path / "secret"))
        assert load(SecretiveSettings).jwt_secret.get_secret_value() == f"{STRONG}-from-file"

    def test_refuses_a_setting_given_twice(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "secret").write_text(STRONG)
        monkeypatch.setenv("JWT_SECRET_FILE", str(tmp_path / "secret"))
        with pytest.raises(ConfigurationError, match="both JWT_SECRET and JWT_SECRET_FILE"):
            load(SecretiveSettings)

    def test_reads_an_administrators_login_from_a_file(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("DATABASE_ADMIN_URL", raising=False)
        assert administrator("DATABASE_ADMIN_URL") is None
        (tmp_path / "login").write_text("postgresql://of-a-file\n")
        monkeypatch.setenv("DATABASE_ADMIN_URL_FILE", str(tmp_path / "login"))
        assert administrator("DATABASE_ADMIN_URL") == "postgresql://of-a-file"
        monkeypatch.setenv("DATABASE_ADMIN_URL_FILE", str(tmp_path / "nothing"))
        with pytest.raises(ConfigurationError, match="no readable file"):
            administrator("DATABASE_ADMIN_URL")


class TestDsns:
    def test_are_composed_of_their_parts_and_quoted(self) -> None:
        settings = ServiceSettings(
            crm_env="test",
            database_url=None,
            rabbitmq_url=None,
            db_host="db",
            db_user="a@b",
            db_password=SecretStr("p/w"),
            rabbitmq_host="mq",
            rabbitmq_password=SecretStr("p:w"),
        )
        assert settings.postgres_dsn == (
            "postgresql://a%40b:p%2Fw@db:5432/ventros_crm?sslmode=prefer"
        )
        assert settings.amqp_url == "amqp://guest:p%3Aw@mq:5672/?heartbeat=10"

    def test_are_not_shown_by_printing_the_settings(self) -> None:
        assert STRONG not in repr(load(SecretiveSettings))
