const query = document.querySelector("#query");
query.addEventListener("input", async () => {
  const answer = await fetch("v1/query", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ query: query.value }),
  });
  const { hits } = await answer.json();
  document.querySelector("#hits").replaceChildren(...hits.map(({ title }) => {
    const row = document.createElement("li");
    row.textContent = title;
    return row;
  }));
});
