package filelogger

import (
	"headrace/conf/expr"
	"headrace/plugin"
	"headrace/plugin/logentry"
	"headrace/plugin/logfile"
)

// logger writes the entry of every request that one of match holds for.
type logger struct {
	*logentry.Format
	match []*expr.Expr
	file  *logfile.File
}

// Log implements plugin.Logger.
func (l *logger) Log(c *plugin.Ctx) {
	if !l.wanted(c) {
		return
	}
	line := logentry.GetLine()
	*line = append(l.Append(*line, c), '\n')
	l.file.Append(*line)
	logentry.PutLine(line)
}

func (l *logger) wanted(c *plugin.Ctx) bool {
	for _, m := range l.match {
		if m.Eval(c) {
			return true
		}
	}
	return len(l.match) == 0
}
