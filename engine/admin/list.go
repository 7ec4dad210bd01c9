package admin

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"headrace/conf"
)

const (
	minPageSize = 10
	maxPageSize = 500
)

// list answers with the items that all conditions of the query hold for
// (gateway.md 3.4).
func (c *call) list() {
	keep, text := c.conditions()
	if text != "" {
		fail(c.ctx, 400, text)
		return
	}
	items, err := c.Store.List(c.res.kind)
	if err != nil {
		c.storeUnreadable(err)
		return
	}
	items = c.inFolder(items)
	// There is no folder of credentials before the first.
	if len(items) == 0 && c.res.nested {
		c.missing()
		return
	}
	if len(keep) > 0 {
		items = slices.DeleteFunc(items, func(it conf.Item) bool {
			v := mustParse(it.Raw)
			return slices.ContainsFunc(keep, func(ok func(*value) bool) bool { return !ok(v) })
		})
	}
	total := len(items)
	if items = c.page(items); items == nil {
		c.ctx.SetStatusCode(400)
		c.ctx.SetBodyString("page_size must be between 10 and 500")
		return
	}
	b := []byte(`{"list":[`)
	for i, it := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, c.Prefix, c.res, it, c.show(it.Raw))
	}
	b = strconv.AppendInt(append(b, `],"total":`...), int64(total), 10)
	reply(c.ctx, 200, append(b, '}'))
}

// inFolder leaves what the path asks for: a kind may have items of another
// sort, and items in folders.
func (c *call) inFolder(items []conf.Item) []conf.Item {
	if c.folder == "" && c.res.kind != conf.Consumers {
		return items
	}
	return slices.DeleteFunc(items, func(it conf.Item) bool {
		return !strings.HasPrefix(it.ID, c.folder) || c.res != resourceOf(it.Kind, it.ID)
	})
}

// page cuts one page out of the list; nil if the query asks for a size that
// there is not.
func (c *call) page(items []conf.Item) []conf.Item {
	args := c.ctx.QueryArgs()
	page, err1 := strconv.Atoi(string(args.Peek("page")))
	size, err2 := strconv.Atoi(string(args.Peek("page_size")))
	if err1 != nil || err2 != nil {
		if items == nil {
			items = []conf.Item{}
		}
		return items
	}
	if size < minPageSize || size > maxPageSize {
		return nil
	}
	page = max(page, 1)
	if page > len(items)/size+1 {
		return []conf.Item{}
	}
	from := min((page-1)*size, len(items))
	return append([]conf.Item{}, items[from:min(from+size, len(items))]...)
}

// conditions reads the filters of the query; an empty one does not count.
func (c *call) conditions() (keep []func(*value) bool, text string) {
	args := c.ctx.QueryArgs()
	arg := func(name string) string { return string(args.Peek(name)) }
	if s := arg("name"); s != "" {
		re, err := regexp.Compile(s)
		if err != nil {
			return nil, "invalid argument name: should be a regular expression"
		}
		keep = append(keep, func(v *value) bool { return matches(re, v.get("name")) })
	}
	if s := arg("uri"); s != "" {
		re, err := regexp.Compile(s)
		if err != nil {
			return nil, "invalid argument uri: should be a regular expression"
		}
		keep = append(keep, func(v *value) bool {
			if matches(re, v.get("uri")) {
				return true
			}
			uris := v.get("uris")
			return uris != nil && slices.ContainsFunc(uris.items, func(u *value) bool { return matches(re, u) })
		})
	}
	if s := arg("label"); s != "" {
		keep = append(keep, func(v *value) bool { return v.get("labels").get(s) != nil })
	}
	if s := arg("filter"); s != "" {
		// What cannot be decoded is left out, as nginx does.
		fields, _ := url.ParseQuery(s)
		for _, name := range c.res.filters {
			if want := fields[name]; len(want) > 0 {
				last := want[len(want)-1]
				keep = append(keep, func(v *value) bool { return v.get(name) != nil && idText(v.get(name)) == last })
			}
		}
	}
	return keep, ""
}

func matches(re *regexp.Regexp, v *value) bool {
	return v != nil && v.kind == '"' && re.MatchString(v.text())
}
