"""The storm: everything that can die does, while work arrives; then it is counted what was lost or done twice."""
