"""What a label can say: the classes of a character slot, and of a place for a token in a cell."""

CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:'\"()[]{}<>-_/+*=%#&@!?$|~^`\\"
NOTHING = 0  # the class of a slot without a character
CODES = {character: number for number, character in enumerate(CHARACTERS, start=1)}
NO_TOKEN = -1
