"""Where the bundled model comes from: facts, lessons, corpus, training, report card."""
