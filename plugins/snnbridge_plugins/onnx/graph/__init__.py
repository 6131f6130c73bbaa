"""From a network to a graph: functions, loops, states, signals."""
