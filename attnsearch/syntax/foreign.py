"""A text, cut into word pieces → the language that it seems to be in, if that is not English.

The words that hold sentences together, such as "and" and "with", are few, and even a short request has one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_LEAST_WORDS = 3  # of a text whose language can be told
_ENOUGH = 3.0  # points
_ENOUGH_WITHOUT = 5.0  # points, of a text without a function word
_LONG = 4  # letters: languages share shorter words

_WORD = re.compile(r"(?<!\S)[^\w\s-]*(?!\w\.)([^\W\d_]+(?:['’-][^\W\d_]+)*)[^\w\s-]*(?!\S)")
_ELIDING = {"French", "Italian"}
_ELISION = re.compile(r"(?:[cdjlmnst]|qu|una?|quell|all|[dns]ell|[dns]?[ua]ll)['’]")

_ENGLISH = (
    "about after and any are because been before between both by could did does during each for from had has "
    "have how if into it its just like list make more most my new not of off only or other our out some such "
    "than that the their them then there these they this those through to too under up use using we were what "
    "when where which while who why will with without would you your"
)
_OTHERS = {  # without those that are English too, such as "in" and "over"
    "German":
        "ab aber alle alles als auch auf aus bei beim bis das dass dem den denn der des diese dieser doch durch "
        "ein eine einem einen einer eines für gegen gibt haben hatte ich ihr im ist kann kein keine mehr mein "
        "mich mit nach nicht noch nur oder ohne schon sein seine sich sie sind um und uns unter viel viele vom "
        "von vor warum welche welcher welches wenig wenige wenn werden wie wieder wir wird wo wurde zu zum zur "
        "zwischen über",
    "French":
        "au aucun aussi aux avec avoir ce ces cet cette chez comme comment contre dans de depuis des deux du "
        "elle elles en entre est et faire il ils je la le les leur leurs mais mes moi mon même ne nos notre nous "
        "ou où par pas pendant peu peut pour pourquoi près quand que quel quelle quelles quelque quelques quels "
        "qui quoi sa sans se ses soi sont sous sur tous tout toute toutes très un une vers vos votre vous à être",
    "Spanish":
        "al algo antes aunque bajo cada como con contra cual cuando cuál cuáles cuándo cuánto cómo de del desde "
        "después donde durante dónde el ella ellos en entre era eres es esta estas este esto estos está hacer "
        "hacia hasta hay la las le les lo los mejor mejores mi mis mucho muy más nada ni nos nuestra nuestro "
        "otra otro para pero poco por porque puede puedo que quiero quién qué se según ser si sobre son su sus "
        "también tiene todas todo todos tu un una unas uno unos y ya yo",
    "Italian":
        "agli ai al alla alle allo anche che chi ci come con contro cosa così da dai dal dalla dalle degli dei "
        "del della delle dello di dopo dove due e ed era essere fare fra gli il io la le lo loro ma mi mia mio "
        "molte molti molto ne nei nel nella nelle nello non nostra nostro ogni per perché più poco poi prima può "
        "qual quale quando quante quanti quanto quello questa questo senza sono sopra sotto su sua sugli sui sul "
        "sulla sulle suo tra tutte tutti tutto un una uno è",
    "Portuguese":
        "algo ao aos apenas até cada com como contra da das de dela dele depois desde dos durante e ela ele em "
        "entre era esta este está eu fazer foi há isso já la lhe mais mas melhor melhores mesmo meu meus minha "
        "muita muito na nas nem nos nossa nosso num numa não o onde os ou outra outro para pela pelas pelo pelos "
        "pode por porque posso pouca pouco qual quando que quem quero se sem ser seu seus sobre sua suas também "
        "tem ter todas todo todos tudo um uma umas uns você à às é",
    "Dutch":
        "aan al alle als andere bij dan dat de deze dit door een geen goed haar heb hebben heeft het hier hij "
        "hoe ik ingen jaren je jij kan kunnen maar meer met mij mijn moet na naar niet nog om omdat ons onze ook "
        "rond rondom te tegen ten tijdens tot tussen uit van veel voor waar waarom wanneer wat weinig welke wie "
        "wij wil worden wordt zal ze zelf zich zijn zo zonder zou één",
    "Swedish":
        "alla allt att av bara blir de dem den det där då efter ej eller en ett finns från för ha han har hur "
        "här inte jag kan kring med mellan men mig min mina mitt mot mycket när och om oss på runt sig sin ska "
        "skall som så tar till upp ur ut utan vad var varför vart vem vi vid vilka vilken vår är även över",
    "Danish":
        "af alle blev bliver da de dem den der deres det dig din efter ej eller en er et fra få gennem går ham "
        "han hans har hende hun hvad hvem hvilken hvor hvordan hvorfor hvornår ikke ind jeg kan kun mange med "
        "meget mellem men mig min mit mod må når og også om omkring op os på samme sig sin skal som sådan til "
        "uden ved vi vil være åre",
    "Norwegian":
        "alle av bare ble blir da de den der deres det du eller en er et etter fra gjennom gjør han har henne "
        "hennes hun hva hvem hvilken hvor hvordan hvorfor ikke ingen inn jeg kan kunne med meg meget mellom men "
        "mer min mitt mot må når og også om opp oss på rundt seg sin skal slik som så til ut uten ved vi vil "
        "være vært å",
    "Polish":
        "aby albo ale bardzo bez być był była było co czy dla dlaczego gdy gdzie go ich ile jak jaka jaki jakie "
        "jako jego jej jest już kiedy kto która które którego który ma mam mnie moja mojego może mój na nad nie "
        "niż o od oraz po pod poza przed przez przy się swoje swój są ta tak także tam te tego tej tych tylko "
        "tym u w według wie więc wokół wszystkie wszystko z za ze że",
    "Czech":
        "aby ale anebo až bez byl byla bylo být co dle jak jako jaká jaké jaký je jeho jejich její jen ještě "
        "jsem jsou k kde kdo kdy která které který mezi mi moje mého mít můj může na nad nebo než o od po pod "
        "pro proti proč před při s se si své svůj ta tak také tam ten tento toho této u už v ve více však všech "
        "všechno všechny z za ze či že",
    "Turkish":
        "acaba ama ancak az bana bazı ben beni benim bir biraz biri bu bunu da daha de değil diye en fakat gibi "
        "göre hakkında hangi hem ile ilgili iyi için kadar ki kim kimin mi mu mü mı nasıl ne neden nedir nerede "
        "niçin o olan olarak oldu olsun onu onun sana sen sonra tüm var ve veya ya yani yok çok çünkü üzerine "
        "şey şu",
    "Finnish":
        "ei eivät en ennen että he hän hänen ilman ja joka jos jossa jotka kaikki kanssa kuin kuinka kuka kun "
        "kymmenen mihin miksi mikä millainen mille milloin minun minä missä mistä miten mitä mutta myös ne niin "
        "niitä nyt näiden nämä ole olen oli olla ovat se sekä sen siitä sinä sitä tai tämä tämän vai vain vielä "
        "voi yli",
    "Hungarian":
        "az azok azt csak de e egy egyik el ez ezek ezt ha hogy hogyan hol ide kell ki kik le legjobb lehet meg "
        "mellett mely melyik mert mi mikor milyen minden mint mit miért már más még nagyon nem néhány nélkül s "
        "sem szerint szól után vagy van vannak volt én és össze úgy ő",
    "Romanian":
        "această acest aceste ar asupra au avea ca care ce cea cei cel cele chiar cine cu cum când cât că da dar "
        "de deci decât despre din după ea ei el este eu fi fie fost fără la le lor lui mai mea mei meu nici noi "
        "nu o ori pe pentru peste prin sa sale sau se si spre sub sunt său toate tot un una unde unei unor unui "
        "în între și",
}  # fmt: skip
_PARTICLES = "à al alla au aux da de del della den der des di du el la le les van von y"

ENGLISH = frozenset(_ENGLISH.split())
OTHERS = {language: frozenset(words.split()) for language, words in _OTHERS.items()}
PARTICLES = frozenset(_PARTICLES.split())
"""Those of names and dishes that English takes as they are: "Don Quixote de la Mancha"."""


def find_words(text: str) -> Iterator[re.Match[str]]:
    """The words of a text, each as group 1; not what is part of something else, such as a number or a file's name.

    >>> [word[1] for word in find_words("l'amour (et la mort) 3b a.txt")]
    ["l'amour", 'et', 'la', 'mort']
    """
    return _WORD.finditer(text)


def guess_language(words: Sequence[tuple[str, int]]) -> str | None:
    """The language, of `OTHERS`, that words with their numbers of pieces seem to be in; None for English, or in doubt.

    A function word of the language is 2 points, a particle 1, an English function word -2. Of the other words in lower
    case, one that is cut is 1 point, or 2 if it has letters that English lacks; one that is whole -1/2.

    >>> guess_language([("ein", 1), ("Buch", 1), ("über", 2), ("Krieg", 2)]), guess_language([("un-", 1), ("cut", 2)])
    ('German', None)
    """
    if len(words) < _LEAST_WORDS:
        return None
    language, (points, function_words) = max(
        ((language, _count_points(words, language)) for language in OTHERS), key=lambda pair: pair[1]
    )
    return language if points >= (_ENOUGH if function_words else _ENOUGH_WITHOUT) else None


def _count_points(words: Sequence[tuple[str, int]], language: str) -> tuple[float, int]:
    """The points for a language, and how many of the words are its function words."""
    known, elides = OTHERS[language], language in _ELIDING
    points, function_words = 0.0, 0
    for number, (word, pieces) in enumerate(words):
        folded = word.casefold()
        is_lower = word[0].islower()
        if word.isupper() and len(word) > 1:
            continue  # an abbreviation
        if (is_lower or number == 0) and (folded in known or (elides and _ELISION.match(folded))):
            function_words += 1
            points += 2 if folded in known and folded not in PARTICLES else 1
        elif folded in ENGLISH:
            points -= 2
        elif is_lower and pieces > 1:
            points += 1 if word.isascii() else 2
        elif is_lower and len(word) >= _LONG:
            points -= 0.5
    return points, function_words
