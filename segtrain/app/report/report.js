for (const head of document.querySelectorAll("th[data-sort]")) head.addEventListener("click", () => {
  const table = head.closest("table"), at = [...head.parentNode.children].indexOf(head);
  const down = head.dataset.sort !== "down";
  for (const other of head.parentNode.children) if (other.dataset.sort) other.dataset.sort = "none";
  head.dataset.sort = down ? "down" : "up";
  const key = row => { const v = row.children[at].dataset.value ?? row.children[at].textContent; return isNaN(v) || v === "" ? v : Number(v); };
  const rows = [...table.tBodies[0].rows].sort((a, b) => { const x = key(a), y = key(b); return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1); });
  table.tBodies[0].append(...rows);
});
