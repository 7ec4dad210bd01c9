// Package conf holds the configuration: the process's own (config.yaml), the
// resources (routes and what they refer to) and the places these come from.
package conf
