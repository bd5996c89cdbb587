// An answer of Elasticsearch: columns with their ES|QL types, rows as lists.

/** Which place a column has in each row; -1 if the answer has no such column. */
export const placeOf = (answer, name) => answer.columns.findIndex((column) => column.name === name);

export const typeOf = (answer, name) => answer.columns.find((column) => column.name === name)?.type ?? "keyword";

/** The first column of times: what a trend is drawn over. */
export const timeColumn = (answer) => answer.columns.find(({ type }) => type.startsWith("date"))?.name;

/** Say which of the `wanted` columns an answer lacks, rather than draw a panel without figures. */
export function requireColumns(answer, wanted) {
  const missing = wanted.filter((name) => name !== undefined && placeOf(answer, name) === -1);
  if (missing.length > 0) {
    const given = answer.columns.map(({ name }) => name);
    throw new Error(`the panel wants the column ${missing.join(", ")}; the query gives ${given.join(", ")}`);
  }
}

/** The value of a breakdown as text; an absent one is a value like any other. */
export const nameOf = (value) => (value === null || value === undefined ? "(none)" : String(value));
