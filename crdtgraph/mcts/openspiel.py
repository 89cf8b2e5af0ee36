"""Games of OpenSpiel as problems: any with moves one after another that hides nothing, with chance or without.

    tree = SearchTree(graph, OpenSpielGame("connect_four"))

Needs the extra: `pip install crdtgraph[games]`. Rewards are the game's returns at the end, all that was given on the
way among them, scaled to within -1 and 1 where they go beyond.
(Lanctot et al., "OpenSpiel: A Framework for Reinforcement Learning in Games", 2019.)

Two states are one position when they have the same history, unless the game is one of `MARKOV`: what a game shows as
text need not be all that its future depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from crdtgraph.errors import LocalError
from crdtgraph.mcts.errors import ProblemError

try:
    import pyspiel
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise LocalError(
        "OpenSpiel is not installed", hint="pip install 'crdtgraph[games]' brings it for Linux and macOS"
    ) from error

MARKOV = frozenset({"breakthrough", "connect_four", "hex", "nim", "tic_tac_toe", "y"})
"""Games whose text shows all that counts: the board, from which follows whose turn it is, or that is shown, too."""

LENGTH_MAX = 10_000
"""Moves of a random game before it is given up: some games need not end."""


class OpenSpielGame:
    """A game of OpenSpiel.

    Args:
        game: its name, with parameters if need be, as in "hex(board_size=5)", or a `pyspiel.Game`.
        transpositions: whether positions that look the same are the same; by default for the games of `MARKOV`.
        start: moves played before the root.

    Raises ProblemError for a game that there is not, or whose players move at the same time or hide something from
    each other.
    """

    def __init__(self, game: str | Any, *, transpositions: bool | None = None, start: Sequence[int] = ()) -> None:
        self.game = game if isinstance(game, pyspiel.Game) else _load(game)
        kind = self.game.get_type()
        _check(self.game, kind, transpositions)
        self.players: int = self.game.num_players()
        reach = max(1.0, abs(self.game.max_utility()), abs(self.game.min_utility()))
        self._scale = 1 / reach
        self._is_scaled = reach != 1
        self.rewards = (self.game.min_utility() / reach, self.game.max_utility() / reach)
        self._start = tuple(start)
        self.identity = f"OpenSpiel {self.game}" + (f" after {list(self._start)}" if self._start else "")
        self._check_start()
        if kind.chance_mode == pyspiel.GameType.ChanceMode.DETERMINISTIC:
            self.chance: Callable[[Any], list[float] | None] | None = None
        else:
            self.chance = _chance
        known = kind.short_name in MARKOV if transpositions is None else transpositions
        self.key: Callable[[Any], bytes] | None = _key if known else None

    def __repr__(self) -> str:
        return f"OpenSpielGame({str(self.game)!r})"

    def _check_start(self) -> None:
        try:
            self.text(self.initial())
        except (pyspiel.SpielError, ValueError, RuntimeError) as error:
            raise ProblemError(
                f"{self.game} cannot be played: {error}", hint="its parameters may be out of their range"
            ) from None

    def initial(self) -> Any:
        """The state after the moves of the start."""
        state = self.game.new_initial_state()
        for action in self._start:
            if action not in state.legal_actions():
                raise ProblemError(
                    f"{action!r} is no move in {self.game} after {state.history()}",
                    hint=f"moves there are {state.legal_actions()[:20]}",
                )
            state.apply_action(action)
        return state

    def actions(self, state: Any) -> list[int]:
        """Legal actions; the outcomes where chance moves."""
        found: list[int] = [] if state.is_terminal() else state.legal_actions()
        return found

    def apply(self, state: Any, action: int) -> Any:
        """The state after an action."""
        return state.child(action)

    def player(self, state: Any) -> int:
        """Whose turn it is."""
        number: int = state.current_player()
        return number

    def evaluate(self, state: Any, rng: Random) -> list[float]:
        """The returns of a game that is played on at random, one a player."""
        random = rng.random
        state = state.clone()
        length = 0
        while not state.is_terminal():
            if self.chance is not None and state.is_chance_node():
                outcomes, weights = zip(*state.chance_outcomes(), strict=True)
                state.apply_action(rng.choices(outcomes, weights)[0])
            else:
                actions = state.legal_actions()
                state.apply_action(actions[int(random() * len(actions))])
            length += 1
            if length > LENGTH_MAX:
                raise ProblemError(
                    f"a random game of {self.game} does not end in {LENGTH_MAX:,} moves",
                    hint="give the game a limit by a parameter, if it has one",
                )
        returns: list[float] = state.returns()
        return [value * self._scale for value in returns] if self._is_scaled else returns

    def text(self, state: Any) -> str:
        """A position as OpenSpiel shows it."""
        return str(state)


def _key(state: Any) -> bytes:
    return str(state).encode()


def _chance(state: Any) -> list[float] | None:
    return [weight for _, weight in state.chance_outcomes()] if state.is_chance_node() else None


def _load(name: object) -> Any:
    if isinstance(name, str) and name.partition("(")[0] not in pyspiel.registered_names():
        # Asked for one, it would print all that there are.
        raise ProblemError(
            f"OpenSpiel has no game {name!r:.80}",
            hint="pyspiel.registered_names() lists them; parameters go in brackets, as in hex(board_size=5)",
        )
    try:
        return pyspiel.load_game(name)
    except (pyspiel.SpielError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise ProblemError(
            f"OpenSpiel cannot load {name!r:.80}: {str(error).splitlines()[0] if str(error) else error!r:.200}",
            hint="pyspiel.registered_names() lists them; parameters go in brackets, as in hex(board_size=5)",
        ) from None


def _check(game: Any, kind: Any, transpositions: bool | None) -> None:
    if kind.dynamics != pyspiel.GameType.Dynamics.SEQUENTIAL:
        raise ProblemError(
            f"in {game} players move at the same time", hint="only games with one move after another are searched"
        )
    if kind.information != pyspiel.GameType.Information.PERFECT_INFORMATION:
        raise ProblemError(
            f"in {game} players do not see everything", hint="only games of perfect information are searched"
        )
    if transpositions and kind.reward_model != pyspiel.GameType.RewardModel.TERMINAL:
        raise ProblemError(
            f"{game} gives rewards on the way, which may differ between two ways to a position",
            hint="leave transpositions out: each way is a position of its own then",
        )
    if kind.chance_mode == pyspiel.GameType.ChanceMode.SAMPLED_STOCHASTIC:
        raise ProblemError(
            f"{game} does not say how probable the outcomes of chance are",
            hint="games with listed outcomes are searched",
        )
