"""Monte Carlo tree search by any number of writers on one tree; see `SearchTree` and docs/mcts.md."""

from crdtgraph.mcts.budget import Budget, Spent, Stop
from crdtgraph.mcts.desk import WorkersFailedError
from crdtgraph.mcts.errors import ProblemError, ProblemMismatchError
from crdtgraph.mcts.lines import Best, Node
from crdtgraph.mcts.problem import Evaluation, Problem, RandomRollouts, Rewards
from crdtgraph.mcts.pruning import Children, Hopeful, Keep, MostVisited
from crdtgraph.mcts.rules import PUCT, UCT, InFlight, Numbers, Rule
from crdtgraph.mcts.statistics import Statistics
from crdtgraph.mcts.tasks import Task, evaluate_tasks
from crdtgraph.mcts.tree import SearchTree
from crdtgraph.mcts.widening import Widening

__all__ = [
    "PUCT",
    "UCT",
    "Best",
    "Budget",
    "Children",
    "Evaluation",
    "Hopeful",
    "InFlight",
    "Keep",
    "MostVisited",
    "Node",
    "Numbers",
    "Problem",
    "ProblemError",
    "ProblemMismatchError",
    "RandomRollouts",
    "Rewards",
    "Rule",
    "SearchTree",
    "Spent",
    "Statistics",
    "Stop",
    "Task",
    "Widening",
    "WorkersFailedError",
    "evaluate_tasks",
]
