// Elements of the page. Whatever comes from a catalog gets here as text: nothing on the page is made of markup.

// An element: functions among its properties are listeners, all else are attributes; null and false leave one out.
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A text from a catalog or a request: its direction and its language, which nobody knows, stay apart from the page's.
export function isolate(text) {
  return el("bdi", { lang: "" }, text);
}

// The element of the page with this id.
export function byId(id) {
  return document.getElementById(id);
}
