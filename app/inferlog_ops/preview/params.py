"""Query parameters of the page: a time range and values of the dashboard's controls, all bounded."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import HTTPException, Path
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from inferlog_ops.preview.controls import Control, Selection, build_filter

_FIRST_YEAR, _LAST_YEAR = 1971, 2261  # within the years that Elasticsearch can index, in every time zone


def _check_year(moment: datetime) -> datetime:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"expected a year from {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment


Id = Annotated[str, Path(max_length=250, pattern="^[a-zA-Z0-9_.-]+$")]
RangeBound = Annotated[AwareDatetime, AfterValidator(_check_year)]
FieldAndValue = Annotated[str, StringConstraints(max_length=1_200, pattern=r"^[a-zA-Z0-9_.@-]{1,200}:[\s\S]+$")]


class RangeParams(BaseModel):
    """A time range and the selected values of the controls."""

    model_config = ConfigDict(extra="forbid")

    from_: Annotated[RangeBound, Field(alias="from", description="Start of the range, ISO 8601 with UTC offset.")]
    to: Annotated[RangeBound, Field(description="End of the range, exclusive, ISO 8601 with UTC offset.")]
    filter: Annotated[
        list[FieldAndValue],
        Field(max_length=100, description="`field:value`; the field is one of the dashboard's controls."),
    ] = []

    def build_filter(self, controls: list[Control], *, but: str | None = None) -> dict[str, Any] | None:
        """
        Return the query DSL filter of the selected values; None if there are none.

        Args:
            controls: Controls of the dashboard; only their fields are allowed.
            but: Field to ignore.

        Raises:
            HTTPException: If a field does not belong to a control.
        """
        selected = [
            Selection(field=field, value=value) for field, _, value in (each.partition(":") for each in self.filter)
        ]
        for field in {selection.field for selection in selected} - {control.field for control in controls}:
            raise HTTPException(422, f"{field} is not a control of this dashboard")
        return build_filter([each for each in selected if each.field != but], controls)


class SearchParams(RangeParams):
    """The same, with a search text for the values of a control."""

    search: Annotated[str, Field(max_length=200)] = ""
