// What this window remembers until it is closed, as JSON. Anything may be stored under a key: other programs write there.

// The object that is stored under a key; an empty one if there is none.
export function readStored(key) {
  try {
    return Object(JSON.parse(sessionStorage.getItem(key)));
  } catch {
    return {};
  }
}

// Stores an object under a key.
export function store(key, object) {
  sessionStorage.setItem(key, JSON.stringify(object));
}
