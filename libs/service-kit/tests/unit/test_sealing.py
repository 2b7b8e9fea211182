import pytest
from cryptography.fernet import Fernet
from pydantic import BaseModel, SecretStr, ValidationError
from service_kit.sealing import EncryptionKeys, Seal, WrongKeyError

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def seal(*keys: str) -> Seal:
    return Seal(SecretStr(",".join(keys)))


class TestSeal:
    def test_what_is_sealed_shows_nothing_and_opens_again(self) -> None:
        sealed = seal(OLD).seal(b"waha-key")
        assert b"waha-key" not in sealed
        assert seal(OLD).open(sealed) == b"waha-key"
        assert seal(OLD).open_text(seal(OLD).seal_text("chave ☕")) == "chave ☕"

    def test_a_key_put_in_front_seals_and_the_old_one_still_opens(self) -> None:
        old = seal(OLD).seal(b"before")
        both = seal(NEW, OLD)
        assert both.open(old) == b"before"
        assert seal(NEW).open(both.seal(b"after")) == b"after"

    def test_what_an_older_key_sealed_is_renewed_and_nothing_else(self) -> None:
        old, both = seal(OLD).seal_text("chave"), seal(NEW, OLD)
        renewed = both.renewed(old)
        assert seal(NEW).open_text(renewed) == "chave"
        assert both.renewed(renewed) == renewed
        assert seal(NEW).open(both.renewed(seal(OLD).seal(b"bytes"))) == b"bytes"
        with pytest.raises(WrongKeyError):
            seal(NEW).renewed(old)

    @pytest.mark.parametrize("sealed", [b"", b"plain", seal(OLD).seal(b"x")])
    def test_what_no_key_opens_is_named_without_being_shown(self, sealed: bytes) -> None:
        with pytest.raises(WrongKeyError, match="no ENCRYPTION_KEY opens this secret"):
            seal(NEW).open(sealed)


class Settings(BaseModel):
    encryption_key: EncryptionKeys


class TestSetting:
    @pytest.mark.parametrize("keys", [OLD, f"{NEW},{OLD}", f"{NEW}, {OLD}"])
    def test_takes_one_key_or_several(self, keys: str) -> None:
        settings = Settings.model_validate({"encryption_key": keys})
        assert settings.encryption_key.get_secret_value() == keys

    @pytest.mark.parametrize("keys", ["", "short", "x" * 44, f"{NEW},", f"{NEW};{OLD}"])
    def test_refuses_what_is_no_key_without_showing_it(self, keys: str) -> None:
        with pytest.raises(ValidationError) as refused:
            Settings.model_validate({"encryption_key": keys})
        assert NEW not in refused.value.errors()[0]["msg"]
