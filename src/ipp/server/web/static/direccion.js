// Who goes back or forward before htmx listens changes the address and not the page: the page is asked for again.
addEventListener("DOMContentLoaded", () => {
  const [arrived] = performance.getEntriesByType("navigation");
  const bare = (address) => address.split("#")[0];
  if (arrived && bare(arrived.name) !== bare(location.href)) location.reload();
});
