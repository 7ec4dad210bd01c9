package engine

// radix is a node of a persistent radix tree: an update copies the nodes on
// the way to the key and shares all others, so readers of an older root see
// nothing of it and a change among 100,000 keys costs a handful of
// allocations. The zero pointer is an empty tree. Nodes are never changed
// after they were published.
type radix[V any] struct {
	label string // bytes between the parent and this node
	kids  []*radix[V]
	val   *V // nil: no key ends here
}

// update returns a tree in which key's value is f(old value); nil removes the
// key. f must not change the old value in place.
func (n *radix[V]) update(key string, f func(old *V) *V) *radix[V] {
	if n == nil {
		v := f(nil)
		if v == nil {
			return nil
		}
		return &radix[V]{label: key, val: v}
	}
	common := commonPrefix(n.label, key)
	if common < len(n.label) {
		// The key leaves in the middle of the label: split it.
		v := f(nil)
		if v == nil {
			return n
		}
		tail := &radix[V]{label: n.label[common:], kids: n.kids, val: n.val}
		split := &radix[V]{label: n.label[:common]}
		if common == len(key) {
			split.kids, split.val = []*radix[V]{tail}, v
			return split
		}
		leaf := &radix[V]{label: key[common:], val: v}
		if leaf.label[0] < tail.label[0] {
			split.kids = []*radix[V]{leaf, tail}
		} else {
			split.kids = []*radix[V]{tail, leaf}
		}
		return split
	}
	key = key[common:]
	next := &radix[V]{label: n.label, kids: n.kids, val: n.val}
	if key == "" {
		next.val = f(n.val)
		return next.tidy()
	}
	i, found := n.search(key[0])
	if !found {
		v := f(nil)
		if v == nil {
			return n
		}
		next.kids = make([]*radix[V], 0, len(n.kids)+1)
		next.kids = append(append(append(next.kids, n.kids[:i]...), &radix[V]{label: key, val: v}), n.kids[i:]...)
		return next
	}
	kid := n.kids[i].update(key, f)
	if kid == n.kids[i] {
		return n
	}
	next.kids = make([]*radix[V], 0, len(n.kids))
	next.kids = append(next.kids, n.kids[:i]...)
	if kid != nil {
		next.kids = append(next.kids, kid)
	}
	next.kids = append(next.kids, n.kids[i+1:]...)
	return next.tidy()
}

// tidy drops a node that holds nothing and joins one that only leads on.
func (n *radix[V]) tidy() *radix[V] {
	if n.val != nil {
		return n
	}
	switch len(n.kids) {
	case 0:
		return nil
	case 1:
		kid := n.kids[0]
		return &radix[V]{label: n.label + kid.label, kids: kid.kids, val: kid.val}
	}
	return n
}

// search finds the child that starts with b, or where it would stand.
func (n *radix[V]) search(b byte) (i int, found bool) {
	lo, hi := 0, len(n.kids)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if n.kids[mid].label[0] < b {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(n.kids) && n.kids[lo].label[0] == b
}

// walk follows key from n as far as the tree goes. It appends to path every
// node whose key is a prefix of key and that holds a value, shortest first;
// whole says that the last of them is the key itself. It does not allocate
// while path has room.
func (n *radix[V]) walk(key []byte, path []*radix[V]) (_ []*radix[V], whole bool) {
	for n != nil && len(key) >= len(n.label) && string(key[:len(n.label)]) == n.label {
		key = key[len(n.label):]
		if n.val != nil {
			path = append(path, n)
		}
		if len(key) == 0 {
			return path, n.val != nil
		}
		i, found := n.search(key[0])
		if !found {
			break
		}
		n = n.kids[i]
	}
	return path, false
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
