/**
 * What those may call with whom a session is shared. Both lists say what is allowed; a method on a
 * session that neither names is its owner's alone, so a new method is closed until somebody has
 * judged it. The guard's rules hold for all of them besides.
 *
 * Readers get what an onlooker sees: events, history, plan and state. Not what runs or waits there
 * for a client (`eventLog.registerInterest` tells a server that somebody will answer), and not the
 * files of the workspace. `order: none` of the catalogue is no guide: much of it changes something.
 *
 * Writers take part in the conversation as a second client of the owner would. Whatever destroys
 * history, ends the session for others, lifts its permissions or changes what it can reach (options,
 * credentials, MCP servers, skills, tools of the session as a whole) stays the owner's; so do slash
 * commands, for some of them do just that, and `sessions.fork`: a fork is a session of its own, with the
 * whole history in it.
 */
import type { Access } from '../access.js';

const READER = names(`
  session.resume session.detach session.destroy
  session.getMetadata session.getMessages sessions.getMetadata sessions.readPersistedEvents
  session.eventLog.read session.eventLog.tail
  session.model.getCurrent session.mode.get session.name.get session.agent.getCurrent session.permissions.getMode
  session.plan.read session.plan.readSqlTodos session.plan.readSqlTodosWithDependencies
  session.autopilotObjective.getState session.tasks.list session.tasks.getProgress
  session.queue.pendingItems session.schedule.list session.permissions.pendingRequests session.usage.getMetrics
  session.workspaces.getWorkspace session.workspaces.listCheckpoints session.workspaces.readCheckpoint
  session.metadata.snapshot session.metadata.getClientMetadata session.metadata.isProcessing session.metadata.activity
  session.metadata.contextInfo session.metadata.getContextAttribution session.metadata.getContextHeaviestMessages
`);

const WRITER = names(`
  session.send session.sendMessages session.abort session.interruptMainTurn session.cancelAllBackgroundAgents
  session.model.switchTo session.model.switchAutoTier session.model.setReasoningEffort session.model.list
  session.mode.set session.name.set session.name.setAuto session.plan.update
  session.completions.getTriggerCharacters session.completions.request session.instructions.getSources
  session.fleet.start session.agent.list session.agent.select session.agent.deselect
  session.tasks.startAgent session.tasks.register session.tasks.update session.tasks.refresh session.tasks.waitForPending
  session.tasks.getCurrentPromotable session.tasks.promoteToBackground session.tasks.promoteCurrentToBackground
  session.tasks.cancel session.tasks.remove session.tasks.sendMessage
  session.commands.list session.commands.handlePendingCommand session.commands.respondToQueuedCommand
  session.ui.ephemeralQuery session.ui.elicitation session.ui.handlePendingElicitation session.ui.handlePendingUserInput
  session.ui.handlePendingSampling session.ui.handlePendingAutoModeSwitch
  session.ui.handlePendingSessionLimitsExhausted session.ui.handlePendingExitPlanMode
  session.log session.history.compact session.history.listRewindPoints session.history.previewRewind
  session.history.cancelBackgroundCompaction session.history.abortManualCompaction session.history.summarizeForHandoff
  session.queue.moveItem session.queue.insertAt session.queue.removeAt session.queue.updateText
  session.queue.duplicateAt session.queue.setDrainPaused session.queue.sendNow session.queue.removeMostRecent
  session.queue.clear session.schedule.stop
  session.eventLog.registerInterest session.eventLog.releaseInterest session.limitPrediction.predict
  session.canvas.list session.canvas.listOpen session.canvas.open session.canvas.close session.canvas.action.invoke
  session.factory.run session.factory.resume session.factory.getRun session.factory.listRuns
  session.factory.getRunDetail session.factory.getRunProgress session.factory.cancel session.factory.pause
  session.factory.pauseAtCheckpoint session.factory.log session.factory.agent session.factory.journal.get
  session.factory.journal.put
  session.skills.list session.skills.getInvoked session.skills.ensureLoaded
  session.mcp.list session.mcp.listTools session.mcp.isServerRunning session.mcp.moveLoadingToBackground
  session.mcp.executeSampling session.mcp.cancelSamplingExecution
  session.mcp.oauth.handlePendingRequest session.mcp.oauth.respond
  session.mcp.headers.handlePendingHeadersRefreshRequest
  session.mcp.apps.readResource session.mcp.apps.listTools session.mcp.apps.callTool session.mcp.apps.getHostContext
  session.mcp.resources.read session.mcp.resources.list session.mcp.resources.listTemplates
  session.extensions.sendAttachmentsToMessage
  session.tools.handlePendingToolCall session.tools.getCurrentMetadata session.tools.getBuiltinDescriptors
  session.tools.taskCompleteEventData session.tools.initializeAndValidate
  session.workspaces.listFiles session.workspaces.readFile session.workspaces.statFile session.workspaces.createFile
  session.workspaces.createDirectory session.workspaces.saveLargePaste session.workspaces.diff
  session.workspaces.readAutopilotObjective session.workspaces.autopilotObjectiveExists
  session.permissions.handlePendingPermissionRequest session.permissions.notifyPromptShown
  session.permissions.paths.list session.permissions.paths.isPathWithinAllowedDirectories
  session.permissions.paths.isPathWithinWorkspace
  session.sandbox.getEnforcementStatus session.contentExclusion.checkPaths session.visibility.get
`);

/** The least access that a method on a session needs. */
export function leastAccess(method: string): Access {
  if (READER.has(method)) return 'reader';
  return WRITER.has(method) ? 'writer' : 'owner';
}

/** Every method that somebody else than the owner may call, for the tests and the documentation. */
export const SHARED_METHODS: readonly string[] = [...READER, ...WRITER];

function names(text: string): ReadonlySet<string> {
  return new Set(text.split(/\s+/).filter(Boolean));
}
