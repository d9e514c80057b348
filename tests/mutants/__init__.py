"""Mutation testing: change the program a little, and see whether its tests notice.

    make mutants ROOM=core MINUTES=30 SEED=1              # a room, named in `tests.mutants.room`
    make mutants ROOM=jobs ONLY=job_service,reconciler    # only the modules whose path has that
    make mutants ROOM=core ONLY=panel SHOW=1              # list the mutants, run none

First every test of the room runs once, which tells how long it takes and which lines it reaches.
Then each mutant runs only the tests that reach its line, the fastest first, until one fails. Two
copies of the tree in a temporary folder are worked on, never the checkout. In the time that is
given the mutants are drawn evenly over the modules. What no test noticed is printed, and written to
bench/out/mutants/ROOM.toml in the form of `equivalent.toml`: a survivor that changes nothing that
can be observed goes there with the reason.
"""
