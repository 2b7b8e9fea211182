"""What messages say that is neither text nor a file."""

from typing import Annotated

from pydantic import Field, StringConstraints

from shared_events.requests import Given

Phone = Annotated[str, StringConstraints(pattern=r"^\+?[1-9][0-9]{6,14}$")]
"""A number with its country's code, and with or without its plus."""
Mentioned = Annotated[str, StringConstraints(pattern=r"^(\+?[1-9][0-9]{6,14}|[0-9]{5,49}@lid)$")]
"""A number with its country's code, or a hidden id."""
Option = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Location(Given):
    """A place on the map, in degrees."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    name: Annotated[str, StringConstraints(max_length=255)] | None = None


class Card(Given):
    """Somebody's contact card."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    phones: list[Phone] = Field(min_length=1, max_length=10)


class Poll(Given):
    """A question with options, each once; `multiple`: several may be chosen."""

    question: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    options: list[Option] = Field(min_length=2, max_length=12)
    multiple: bool = False
