// Query answers: columns with their ES|QL types, rows as lists.

/** Index of a column in each row; -1 if the answer has no such column. */
export const placeOf = (answer, name) => answer.columns.findIndex((column) => column.name === name);

export const typeOf = (answer, name) => answer.columns.find((column) => column.name === name)?.type ?? "keyword";

/** The first time column: the x axis of a trend. */
export const timeColumn = (answer) => answer.columns.find(({ type }) => type.startsWith("date"))?.name;

/** Throw an error that names the `wanted` columns missing in an answer. */
export function requireColumns(answer, wanted) {
  const missing = wanted.filter((name) => name !== undefined && placeOf(answer, name) === -1);
  if (missing.length > 0) {
    const given = answer.columns.map(({ name }) => name);
    throw new Error(`the panel requires the column ${missing.join(", ")}; the query returns ${given.join(", ")}`);
  }
}

/** The value of a breakdown as text; null is a value like any other. */
export const nameOf = (value) => (value === null || value === undefined ? "(none)" : String(value));
