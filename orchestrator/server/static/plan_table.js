// The table of a plan: rows come and go at once. Without this script the server does it.

document.addEventListener("click", (event) => {
  const button = event.target.closest("form[data-plan] button[name=do]");
  if (!button) return;
  const form = button.form; // which a button has no more once its row is gone
  const table = form.querySelector("tbody");
  if (button.value === "add") add(form, table);
  else if (button.value.startsWith("remove-")) remove(button.closest("tr"), table);
  else return;
  event.preventDefault();
  form.elements.rows.value = [...table.rows].map((row) => row.dataset.number).join(" ");
});

function add(form, table) {
  const numbers = [...table.rows].map((row) => Number(row.dataset.number));
  const number = Math.max(-1, ...numbers) + 1;
  const taken = new Set([...table.querySelectorAll("[name^=id-], [name^=was-]")].map((input) => input.value));
  let id = table.rows.length + 1;
  while (taken.has(`t${id}`)) id += 1;
  const row = document.querySelector("template[data-row]").content.firstElementChild.cloneNode(true);
  row.dataset.number = number;
  for (const each of row.querySelectorAll("[name]")) each.name = each.name.replace("NEW", number);
  const button = row.querySelector("button");
  button.value = `remove-${number}`;
  button.setAttribute("aria-label", `Remove t${id}`);
  table.append(row);
  form.elements[`id-${number}`].value = `t${id}`;
  form.elements[`description-${number}`].focus();
}

function remove(row, table) {
  const id = row.querySelector("[name^=id-]").value;
  row.remove();
  // What depended on it goes on without its result.
  for (const each of table.querySelectorAll("[name^=needs-]")) {
    const needs = each.value.split(/[,;\s]+/).filter(Boolean);
    if (needs.includes(id)) each.value = needs.filter((name) => name !== id).join(", ");
  }
  table.querySelector("textarea")?.focus();
}
