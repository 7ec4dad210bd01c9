package main

import (
	"errors"
	"os"
	"slices"
	"strconv"

	"headrace/conf"
)

// Who only looks at a configuration, in CI for instance, does not have its
// secrets: a variable that is not set there says nothing about the
// configuration. Such variables are assumed to hold whatever fits: here those
// of config.yaml, in unset_items.go those of resource files.

// loadAssuming is conf.Load with values assumed for variables that are not
// set; they are warnings.
func loadAssuming(path string) (*conf.Config, []conf.Warning, error) {
	cfg, warnings, err := conf.Load(path, os.LookupEnv)
	unset := unsetIn(err)
	if len(unset) == 0 {
		return cfg, warnings, err
	}
	cfg, warnings, err = conf.Load(path, assume(path, unset))
	at := map[string]bool{}
	for _, p := range unset {
		at[p.Field] = true
	}
	// Where no value fits, nothing can be said but that there is none.
	var left conf.Problems
	for _, p := range asProblems(err) {
		if at[p.Field] {
			return nil, warnings, unset
		}
		left = append(left, p)
	}
	warnings = append(warnings, unsetWarnings(unset)...)
	if len(left) > 0 {
		return nil, warnings, left
	}
	return cfg, warnings, err
}

// unsetIn are the problems that are nothing but a variable without a value.
func unsetIn(err error) (unset conf.Problems) {
	for _, p := range asProblems(err) {
		if p.Unset != "" {
			unset = append(unset, p)
		}
	}
	return unset
}

// asProblems takes an error apart; one that is no problem of the text, but of
// reading it, has none.
func asProblems(err error) conf.Problems {
	var ps conf.Problems
	var p conf.Problem
	switch {
	case errors.As(err, &ps):
		return ps
	case errors.As(err, &p):
		return conf.Problems{p}
	}
	return nil
}

// unsetWarnings has one for each setting; in a resource file, which has none,
// one for each variable.
func unsetWarnings(unset conf.Problems) (warnings []conf.Warning) {
	seen := map[[2]string]bool{}
	for _, p := range unset {
		if at := [2]string{p.Unset, p.Field}; !seen[at] {
			seen[at] = true
			p.Reason, p.Warn = "environment variable "+p.Unset+" is not set here; a gateway needs it", true
			warnings = append(warnings, p)
		}
	}
	return warnings
}

// assume returns an environment in which the variables have values of the kind
// with which the fewest problems are found.
func assume(path string, unset conf.Problems) conf.Env {
	values := map[string]string{}
	env := func(name string) (string, bool) {
		if v, ok := os.LookupEnv(name); ok {
			return v, true
		}
		v, ok := values[name]
		return v, ok
	}
	problems := func() int {
		_, _, err := conf.Load(path, env)
		return len(asProblems(err))
	}
	names := namesOf(unset)
	for _, name := range names {
		values[name] = "x"
	}
	best := problems()
	for i, name := range names {
		// Two ports must not be the same.
		for _, v := range []string{"1", strconv.Itoa(10001 + i), "127.0.0.1", "http://127.0.0.1", "true"} {
			if best == 0 {
				return env
			}
			before := values[name]
			values[name] = v
			if n := problems(); n < best {
				best = n
			} else {
				values[name] = before
			}
		}
	}
	return env
}

// namesOf lists the variables, each once.
func namesOf(unset conf.Problems) (names []string) {
	for _, p := range unset {
		if !slices.Contains(names, p.Unset) {
			names = append(names, p.Unset)
		}
	}
	return names
}
