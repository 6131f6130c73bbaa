"""BrainPy's classes as far as the names of a state dict's nodes tell them.

A node that its user did not name is called by its class and a counter per class: ``Lif0``,
``Conv2d0``, ``DualExponV20`` (``DualExponV2`` and 0). Only a table of the classes can take such
a name apart.
"""

from __future__ import annotations

from snnbridge import rules


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: The classes that :mod:`snnbridge.rules` describes.
FAMILY = frozenset(kind for framework, kind in rules.classes if framework == "brainpy")

#: What a training run keeps beside the net: optimizers and schedules of the learning rate.
OPTIMIZERS = _names(
    "Adadelta Adagrad Adam AdamW Adan LARS Momentum MomentumNesterov RMSProp SGD SM3 Constant "
    "CosineAnnealingLR CosineAnnealingWarmRestarts ExponentialDecay ExponentialDecayLR "
    "ExponentialLR InverseTimeDecay InverseTimeDecayLR MultiStepLR PiecewiseConstant "
    "PiecewiseConstantLR PolynomialDecay PolynomialDecayLR Scheduler StepLR"
)

#: Numerical integrators: nodes without arrays, by the name of their method.
INTEGRATORS = _names(
    "Euler ExponentialEuler Heun Heun2 Heun3 MidPoint Milstein MilsteinGradFree RK2 RK3 RK4 "
    "RK4Rule38 Ralston2 Ralston3 Ralston4 SSPRK3 KlPl SRK1W1 SRK2W1 BoSh3 BogackiShampine "
    "CashKarp DOP853 DormandPrince HeunEuler RKF12 RKF45 CaputoEuler CaputoL1Schema "
    "GLShortMemory"
)

#: Neurons and synapses beyond the family, and delay lines: all their variables are state.
DYNAMIC = frozenset(
    f"{kind}{refractory}{constant}"
    for kind in ("ExpIF", "AdExIF", "QuaIF", "AdQuaIF", "Gif", "Izhikevich")
    for refractory in ("", "Ref")
    for constant in ("", "LTC")
) | _names(
    "ALIFBellec2020 LIF_SFA_Bellec2020 LeakyIntegrator GIF HindmarshRose FHN QIF HH HHLTC "
    "MorrisLecar MorrisLecarLTC WangBuzsakiHH WangBuzsakiHHLTC WangBuzsakiModel "
    "WangBuzsakiModelLTC PinskyRinzelModel NMDA STD STP AMPA GABAa BioNMDA VarDelay "
    "VariableDelay DataDelay LengthDelay NeuLenDelay TimeDelay NeuTimeDelay OUProcess"
)

#: Recurrent cells: their variable ``state`` is state, all others are weights.
CELLS = _names("RNNCell GRUCell LSTMCell Conv1dLSTMCell Conv2dLSTMCell Conv3dLSTMCell")

#: Classes whose weights are variables in training mode only; without them no file is a network's.
WEIGHTED = _names("Dense Linear Conv1d Conv2d")

#: Further classes with weights; outside training mode these are constants of the program.
CONSTANT = _names(
    "AllToAll OneToOne MaskedLinear CSRLinear CSCLinear EventCSRLinear BcsrMM BcscMM Conv3d "
    "ConvTranspose1d ConvTranspose2d ConvTranspose3d"
)

#: Layers whose variables, where they have any, are weights; containers and projections.
OTHERS = _names(
    "Activation AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveMaxPool1d AdaptiveMaxPool2d BatchNorm "
    "BatchNorm3d COBA CUBA DynSysGroup Dropout FunAsLayer FullProjAlignPost FullProjAlignPostMg "
    "FullProjAlignPreDS FullProjAlignPreDSMg FullProjAlignPreSD FullProjAlignPreSDMg FullProjDelta "
    "GroupNorm HalfProjAlignPost HalfProjAlignPostMg HalfProjDelta Identity InputGroup InputVar "
    "InstanceNorm LayerNorm MgBlock MinPool Network NVAR OutputGroup PReLU PoissonGroup "
    "PoissonInput ReLU Reservoir Sequential SpikeTimeGroup STDP_Song2000 SynConn Unflatten "
    "VanillaProj"
)

_KNOWN = FAMILY | OPTIMIZERS | INTEGRATORS | DYNAMIC | CELLS | WEIGHTED | CONSTANT | OTHERS
_DIGITS = "0123456789"


def class_of(name: str) -> str:
    """Return BrainPy's class that a node's name tells, or ``""``.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
        The longest class of the table that leaves a counter without leading zeros. A class of
        the user's is not told: ``Net10`` may be the class ``Net`` or ``Net1``, or a name.

    Examples
    --------
    >>> class_of("DualExponV20"), class_of("Lif12"), class_of("readout1")
    ('DualExponV2', 'Lif', '')
    """
    for end in range(len(name) - 1, len(name.rstrip(_DIGITS)) - 1, -1):
        if name[:end] in _KNOWN and (name[end] != "0" or end == len(name) - 1):
            return name[:end]
    return ""
