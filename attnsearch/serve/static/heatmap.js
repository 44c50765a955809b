// The last requests × the items that had most of their attention.

// Notes an answer that the person has stopped at, so that the heatmap can have it.
export function noteAnswer(answer, state) {}
