package wire

// Watched is what a Watch reports to.
type Watched interface {
	// PeerClosed is called at most once per registration, from the watch's
	// goroutine, when the peer has closed, half-closed or reset the
	// connection. It must not block. It may call Add and Remove.
	PeerClosed()
}

// Token is one registration with a Watch. The zero Token is none.
type Token struct {
	slot, gen uint32
}

// slot is a place in a watch's table. The generation tells registrations apart
// that had the same place or the same descriptor one after the other.
type slot struct {
	w    Watched // nil: free, or already told
	fd   int32
	gen  uint32
	next uint32 // of the free list, as index + 1
	live bool
}

// table is the registrations of a watch; the watch's lock guards it.
type table struct {
	slots []slot
	free  uint32 // index + 1; 0: none
	n     int    // live ones
}

func (t *table) add(fd int, w Watched) Token {
	if t.free == 0 {
		t.slots = append(t.slots, slot{})
		t.free = uint32(len(t.slots))
	}
	i := t.free - 1
	s := &t.slots[i]
	t.free = s.next
	// Generation 0 is the zero Token's.
	if s.gen++; s.gen == 0 {
		s.gen = 1
	}
	s.w, s.fd, s.live, s.next = w, int32(fd), true, 0
	t.n++
	return Token{i, s.gen}
}

// remove frees a token's place: ok is false if it was not registered, told is
// true if PeerClosed was called for it.
func (t *table) remove(k Token) (fd int, told, ok bool) {
	if !t.has(k) {
		return 0, false, false
	}
	s := &t.slots[k.slot]
	fd, told = int(s.fd), s.w == nil
	s.w, s.live, s.next = nil, false, t.free
	t.free = k.slot + 1
	t.n--
	return fd, told, true
}

// take returns whom to tell about an event, once.
func (t *table) take(k Token) Watched {
	if !t.has(k) {
		return nil
	}
	s := &t.slots[k.slot]
	w := s.w
	s.w = nil
	return w
}

func (t *table) has(k Token) bool {
	return k.gen != 0 && int(k.slot) < len(t.slots) && t.slots[k.slot].gen == k.gen && t.slots[k.slot].live
}
