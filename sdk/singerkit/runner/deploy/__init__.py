"""Files for schedulers: what a project says of its pipelines, as an Airflow DAG, CronJobs, timers and the like.

The files come from templates (the folder ``templates``); they hold no secret, only the names of those to set.
"""

from singerkit.runner.deploy.deployment import Deployment, plan_deployment
from singerkit.runner.deploy.platforms import PLATFORMS, Choices

__all__ = ["PLATFORMS", "Choices", "Deployment", "plan_deployment"]
