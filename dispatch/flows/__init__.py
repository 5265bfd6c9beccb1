"""One public function per action; the only place where transactions begin and end."""
