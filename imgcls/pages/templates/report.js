"use strict";
// Tables are sorted by a click on a heading; the matrix shows images or shares, its classes in one of several orders.
// The page has all of it without this script, too.
const number = (text) => parseFloat(text.replaceAll(",", ""));

function sortBy(table, column, ascending) {
  const key = (row) => row.cells[column].textContent.trim();
  const compare = (one, other) => {
    const difference = number(key(one)) - number(key(other));
    return Number.isNaN(difference) ? key(one).localeCompare(key(other), undefined, { numeric: true }) : difference;
  };
  const rows = [...table.tBodies[0].rows].sort((one, other) => (ascending ? 1 : -1) * compare(one, other));
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  if (table.tBodies[0].rows.length < 3) continue;
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    if (!head.textContent) continue;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortBy(table, column, ascending);
    });
  }
}

for (const table of document.querySelectorAll("table.matrix")) {
  const tools = table.parentElement.previousElementSibling;
  tools.hidden = false;
  const heads = [...table.tHead.rows[0].cells].slice(1);
  const rows = [...table.tBodies[0].rows];
  const cells = rows.map((row) => [...row.cells].slice(1));
  tools.querySelector(".order").addEventListener("change", (event) => {
    const order = event.target.value.split(" ").map(Number);
    table.tHead.rows[0].append(...order.map((place) => heads[place]));
    rows.forEach((row, place) => row.append(...order.map((column) => cells[place][column])));
    table.tBodies[0].append(...order.map((place) => rows[place]));
  });
  for (const choice of tools.querySelectorAll("input")) {
    choice.addEventListener("change", () => {
      for (const cell of cells.flat()) {
        (cell.querySelector("a") || cell).textContent = cell.dataset[choice.value] + (choice.value === "share" ? " %" : "");
      }
    });
  }
}

for (const link of document.querySelectorAll('a[href^="#cell-"]')) {
  link.addEventListener("click", () => setTimeout(() => document.querySelector(link.hash)?.focus(), 0));
}
