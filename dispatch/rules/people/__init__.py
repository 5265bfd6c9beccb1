"""The rules about friends: when and where they can be reached."""
