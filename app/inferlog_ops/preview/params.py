"""What the browser may ask about: a range of time and values of the dashboard's controls. Everything has a bound."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import HTTPException, Path
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from inferlog_ops.preview.controls import Control, Selection, filter_of

_FIRST_YEAR, _LAST_YEAR = 1971, 2261  # one within those in which the index can tell time, whatever the time zone


def _in_reach(moment: datetime) -> datetime:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"expected a year from {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment


Id = Annotated[str, Path(max_length=250, pattern="^[a-zA-Z0-9_.-]+$")]
Moment = Annotated[AwareDatetime, AfterValidator(_in_reach)]
FieldAndValue = Annotated[str, StringConstraints(max_length=1_200, pattern=r"^[a-zA-Z0-9_.@-]{1,200}:[\s\S]+$")]


class Asking(BaseModel):
    """A range of time, and of the events in it those that the controls let through."""

    model_config = ConfigDict(extra="forbid")

    from_: Annotated[Moment, Field(alias="from", description="First moment, ISO 8601 with its offset.")]
    to: Annotated[Moment, Field(description="First moment after the range.")]
    filter: Annotated[
        list[FieldAndValue],
        Field(max_length=100, description="`field:value`; the field is one of the dashboard's controls."),
    ] = []

    def within(self, controls: list[Control], *, but: str | None = None) -> dict[str, Any] | None:
        """
        Return the filter in query DSL that the selected values make; None if there are none.

        Args:
            controls: Of the dashboard; nothing else can filter.
            but: A field whose values are not heeded.

        Raises:
            HTTPException: If a field is none of the controls'.
        """
        selected = [
            Selection(field=field, value=value) for field, _, value in (each.partition(":") for each in self.filter)
        ]
        for field in {selection.field for selection in selected} - {control.field for control in controls}:
            raise HTTPException(422, f"{field} is no control of this dashboard")
        return filter_of([each for each in selected if each.field != but], controls)


class Searching(Asking):
    """The same, and a text to be found in a control's values."""

    search: Annotated[str, Field(max_length=200)] = ""
