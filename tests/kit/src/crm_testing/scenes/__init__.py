"""What the tests of one service share: companies in its world, and a look at what it made."""
