from service_kit.errors import InvalidError, json_pointer


class TestJsonPointer:
    def test_escapes_as_rfc_6901_does(self) -> None:
        assert json_pointer("a/b", "m~n", 0, "") == "/a~1b/m~0n/0/"
        assert json_pointer("~1") == "/~01"
        assert json_pointer() == ""

    def test_of_a_field_is_as_written_or_made_of_its_parts(self) -> None:
        ours, theirs = (
            InvalidError.field(name, "wrong", "It is wrong.").problem.errors[0].pointer
            for name in ("waha/base_url", ("headers", "X/a~b"))
        )
        assert (ours, theirs) == ("/waha/base_url", "/headers/X~1a~0b")
