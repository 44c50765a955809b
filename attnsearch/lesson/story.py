"""The librarian's story: the title, the formula and the words of each slide, in order, with blanks for numbers."""

from __future__ import annotations

from typing import NamedTuple

from attnsearch.lesson.slide import Slide, Table


class Chapter(NamedTuple):
    """The words of a slide: title, formula so far, paragraphs above the tables and below, and a command to try."""

    title: str
    formula: str
    above: str
    below: str = ""
    command: str = ""


CHAPTERS = {
    "request": Chapter(
        "You ask",
        "words → x",
        """
        You ask the librarian for “{request}”. She has a habit: for everything in her library, she notes three numbers.
        How much space is in it, how much love, how much fear? She does the same with your words, and adds them up. The
        sum is x.
        """,
        """
        A row of numbers such as x is called a vector. Its last number is negative: keep fear away.
        """,
    ),
    "query": Chapter(
        "What you are after",
        "q = x W_Q",
        """
        That is what you said. What you are after, she knows from years at the desk. Whoever asks for stars wants to get
        far away; whoever asks for love wants a warm heart, and hope in the end. She keeps her experience in a table of
        numbers, a matrix, called W_Q. It has a row for each number of x, and a column for each of her four questions
        about a book: how far, how warm, how dark, how much hope?

        Multiply each row by your number beside it, then add up the columns. The sums are q, your query. All of that
        together is written q = x W_Q.
        """,
    ),
    "keys": Chapter(
        "What the books answer",
        "K = X W_K, V = X W_V",
        """
        Each book has a card with the same three numbers. X is all four cards, a row for each. The matrix W_K turns a
        card into what the book answers to the four questions, its key k: love warms twice, fear takes hope away. The
        matrix W_V turns it into what you get if you read it, in pages, its value v. Multiply and add as you did for q,
        card by card.
        """,
        """
        K is the stack of all k, V that of all v. How warm is {first}? {warmth}.
        """,
    ),
    "products": Chapter(
        "Your query against four cards",
        "Q Kᵀ",
        """
        She holds your query against the key on each card. Question by question, she multiplies what you are after by
        what the book answers, and adds up. That is q·k, the product of two vectors: large if both want the same,
        negative if they pull in opposite directions.
        """,
        """
        All at once, this is written Q Kᵀ. Q is the stack of all queries; today there is only yours. The ᵀ lays K on its
        side, so that each row of Q meets each row of K.
        """,
    ),
    "logits": Chapter(
        "A fair size",
        "Q Kᵀ / √d_k",
        """
        With a hundred questions the products would be larger, just because there is more to add up. So she divides by
        the square root of the number of questions. That number is called d_k: here d_k = 4, and √d_k = 2. The results
        are called logits.
        """,
    ),
    "weights": Chapter(
        "Shares of her attention",
        "softmax(Q Kᵀ / √d_k)",
        """
        She turns the logits into shares. First she takes exp of each: the key eˣ of your calculator. It makes every
        number positive, and one logit more makes it 2.718 times as large. Then she divides each by the sum. The shares
        are called weights and add up to 100%: they are her attention. Both together, exp and division, are called
        softmax.
        """,
        """
        {weight:.1%} of her attention is on {first}.
        """,
    ),
    "output": Chapter(
        "What you carry home",
        "softmax(Q Kᵀ / √d_k) V",
        """
        You don't walk home with one book. You walk home with {weight:.1%} of {first}, {next_weight:.1%} of {second},
        and a little of the others: of each, as much as it got of her attention. Multiply each row of V by its weight,
        then add up the columns: {weight:.1%} of {pages:g} is {share:.0f}.
        """,
        """
        You carry home {carried}. That is all there is to attention, here and in every language
        model:

        Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V
        """,
    ),
    "scale": Chapter(
        "Why she divides, and when that is not enough",
        "1 / √d_k",
        """
        Suppose she asks each question {times} times, {many} in all. The products are {times} times as large, and exp
        makes one so large that it takes everything. Divided by √{many} = {root:g}, they leave something for the others.

        attnsearch makes every vector 1 long: it divides each by its length, the root of the sum of its squares. That of
        q is √4 = 2, those of the keys are in the table. Then q·k is a cosine, and never above 1. If that is divided by
        √d_k, too, so little is left that all books get much the same. The order is right, but the shares say little.
        """,
        """
        The cosine of {first} is its q·k, divided by both lengths: {product:g} / ({q:g} × {k:.3f}) = {cosine:.3f}.
        """,
    ),
    "temperature": Chapter(
        "How choosy she is",
        "cosine / τ",
        """
        Instead of by √d_k, divide the cosines by a number of your choice: τ, say “tau”, the temperature. When it is
        warm, she spreads her attention over everything. The colder it gets, the choosier she is, until the best book
        has it all.
        """,
        """
        The first τ is √d_k = 2. For its own encoder attnsearch takes τ = 0.05, since cosines of real descriptions lie
        closer together than these. It puts √d_k / τ into W_Q, so the formula stays as it is.
        """,
        "attnsearch query TEXT --temperature 0.2",
    ),
    "mask": Chapter(
        "A book is lent out",
        "a mask: -∞",
        """
        {lent} is lent out. She doesn't cross it off her list at the end. She writes -∞, minus infinity, in place of its
        logit, and exp of that is 0. So the others share all of her attention, as if it had never been there. This is
        called a mask.
        """,
        command="attnsearch query TEXT --where 'year > 1950'",
    ),
    "bias": Chapter(
        "The title says exactly that",
        "softmax(Q Kᵀ / √d_k + bias)",
        """
        You remember one more thing: “signal” was in the title. Her four questions know nothing of titles. So she adds
        {bias:g} to the logit of {named}, before the softmax: a bias. One logit more makes its exp 2.718 times as large.
        """,
        """
        It catches up. The sum still has to be 100%, so the others lose a little.
        """,
        "attnsearch query TEXT --lexical 0.3",
    ),
    "null key": Chapter(
        "We have nothing like that",
        "a null key",
        """
        Somebody asks: “{elsewhere}?” There is no space, love or fear in it. So x is 0 0 0, q and all products are 0,
        and exp(0) = 1: each book would get 25%. A softmax always hands out all of its attention, even if nothing fits.

        So she keeps one more card, “{nothing}”, a null key. Its logit is always {logit:g}.
        """,
        """
        For the sink, that card gets {weight:.1%}, more than all books together. attnsearch prints a number like it
        under each answer: the “chance that nothing fits”.
        """,
    ),
    "learning": Chapter(
        "She learns",
        "a learned W_Q",
        """
        Readers who asked as you did kept {second}, and brought {first} back unread. So she changes her mind about what
        they are after: less far, warmer. Two numbers in W_Q change, and the answer with them.
        """,
        command="attnsearch feedback TEXT --good ITEM --bad ITEM",
    ),
    "built-in": Chapter(
        "The same with {d} numbers",
        "softmax(Q Kᵀ / √d_k) V",
        """
        Now attnsearch itself, for “{request}” in its built-in library. The encoder, a small language model, turns
        {tokens} into x, {d} numbers without names. W_Q multiplies each by {factor:.3f} = √{d} / {temperature:g}. K and
        V are X, {d} numbers for each of {n} books; the k below is that of the first.
        """,
        """
        “Nothing scary” is left out: this encoder hears “scary” and misses “nothing”.
        """,
    ),
    "missing": Chapter(
        "The same with {d} numbers",
        "softmax(Q Kᵀ / √d_k) V",
        """
        This slide would show the same steps for attnsearch's built-in library, with the encoder's {d} numbers in place
        of three. But it can't be computed here: {problem}.
        """,
        """
        {hint}
        """,
    ),
}
LAST = list(CHAPTERS).index("built-in") + 1  # the number of slides


def tell(name: str, *tables: Table, **blanks: object) -> Slide:
    """The slide of a chapter with its tables, and with the blanks filled in."""
    chapter = CHAPTERS[name]
    return Slide(
        number=min(list(CHAPTERS).index(name) + 1, LAST),
        name=name,
        title=chapter.title.format(**blanks),
        formula=chapter.formula,
        story=_paragraphs(chapter.above, blanks),
        tables=tables,
        notes=_paragraphs(chapter.below, blanks),
        command=chapter.command,
    )


def _paragraphs(text: str, blanks: dict[str, object]) -> tuple[str, ...]:
    parts = text.strip().split("\n\n") if text.strip() else []
    return tuple(" ".join(part.split()).format(**blanks) for part in parts)
